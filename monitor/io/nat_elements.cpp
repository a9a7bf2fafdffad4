#include "io/nat_elements.hpp"

#include <algorithm>
#include <cstring>

#include "io/nat_expressions.hpp"

namespace sentinel::io {
namespace {

using core::Family;

// A nest's length is a number of 16 bits.
constexpr std::size_t full_list = 60'000;

std::size_t address_size(Family family) { return family == Family::v4 ? 4 : 16; }
std::uint8_t address_family(Family family) { return family == Family::v4 ? AF_INET : AF_INET6; }

void put(ElementBytes& to, std::span<const std::byte> part) {
  std::ranges::copy(part, to.bytes.begin() + static_cast<std::ptrdiff_t>(to.size));
  to.size += (part.size() + 3) & ~std::size_t{3};
}
void put_address(ElementBytes& to, const core::IpAddress& address) {
  put(to, std::as_bytes(std::span{address.bytes}).first(address_size(address.family)));
}
template <typename Number>
void put_number(ElementBytes& to, Number number) {
  put(to, std::as_bytes(std::span{&number, 1}));
}

std::optional<core::IpAddress> take_address(std::span<const std::byte>& from, Family family) {
  const std::size_t size = address_size(family);
  if (from.size() < size) return std::nullopt;
  core::IpAddress address{.family = family};
  std::memcpy(address.bytes.data(), from.data(), size);
  from = from.subspan(size);
  return address;
}
template <typename Number>
std::optional<Number> take_number(std::span<const std::byte>& from) {
  if (from.size() < 4) return std::nullopt;
  Number number{};
  std::memcpy(&number, from.data(), sizeof number);
  from = from.subspan(4);
  return number;
}

/// The address after the last one of the prefix; nullopt when there is none.
std::optional<core::IpAddress> after(const core::IpPrefix& prefix) {
  core::IpAddress next = prefix.address;
  if (prefix.length == 0) return std::nullopt;
  for (int bit = prefix.length - 1; bit >= 0; --bit) {
    auto& byte = next.bytes.at(static_cast<std::size_t>(bit / 8));
    const auto flag = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    byte ^= flag;
    if ((byte & flag) != 0) return next;
  }
  return std::nullopt;
}

bool covers(const core::IpPrefix& outer, const core::IpPrefix& inner) {
  return outer.length <= inner.length && outer.contains(inner.address);
}

void write_hairpin(NetlinkWriter& writer, const NatOptions& options, Family family,
                   const std::set<core::IpPrefix>& prefixes) {
  ElementWriter elements{writer, options, address_family(family), "hairpin", NFT_MSG_NEWSETELEM};
  const core::IpPrefix* last = nullptr;  // in order, a prefix comes right after one that covers it
  for (const core::IpPrefix& prefix : prefixes) {
    if (prefix.address.family != family || (last != nullptr && covers(*last, prefix))) continue;
    last = &prefix;
    ElementBytes first;
    put_address(first, prefix.address);
    elements.add(first.view());
    if (const auto next = after(prefix)) {
      ElementBytes end;
      put_address(end, *next);
      elements.add(end.view(), {}, NFT_SET_ELEM_INTERVAL_END);
    }
  }
}

ElementBytes prefix_bytes(const core::IpPrefix& prefix) {
  ElementBytes all;
  put_address(all, prefix.address);
  put_number(all, std::uint32_t{prefix.length});
  return all;
}

/// Writes one run of changes of the same kind, first what goes, then what comes.
class Run {
 public:
  Run(NetlinkWriter& writer, const NatOptions& options) : writer_(writer), options_(options) {}

  void slots(std::span<const core::NatChange> run) {
    const auto& first = std::get<core::SetSlot>(run.front());
    both(address_family(first.service.address.family), slot_map(first.slot_class), run,
         [](ElementWriter& to, const core::NatChange& change, bool adding) {
           const auto& one = std::get<core::SetSlot>(change);
           if (!adding && one.from) to.add(slot_bytes(one.service, one.slot).view());
           if (adding && one.to) {
             to.add(slot_bytes(one.service, one.slot).view(), number_bytes(*one.to).view());
           }
         });
  }
  void spreads(std::span<const core::NatChange> run) {
    const auto& first = std::get<core::SetSpread>(run.front());
    both(address_family(first.service.address.family), "vip", run,
         [](ElementWriter& to, const core::NatChange& change, bool adding) {
           const auto& one = std::get<core::SetSpread>(change);
           if (!adding && one.from) to.add(vip_bytes(one.service).view());
           if (adding && one.to) {
             to.add(vip_bytes(one.service).view(), number_bytes(nat_kind(*one.to)).view());
           }
         });
  }
  void servers(std::span<const core::NatChange> run) {
    for (const std::uint8_t family : nat_families(options_)) {
      const auto of_family = [family](const std::optional<core::NatServer>& server) {
        return server && address_family(server->address.family) == family;
      };
      const auto element = [&](bool with_data) {
        return [of_family, with_data](ElementWriter& to, const core::NatChange& change,
                                      bool adding) {
          const auto& one = std::get<core::SetServer>(change);
          const auto& server = adding ? one.to : one.from;
          if (!of_family(server)) return;
          const ElementBytes data = adding && with_data ? server_bytes(*server) : ElementBytes{};
          to.add(number_bytes(one.mark).view(), data.view());
        };
      };
      both(family, "be", run, element(true));
      if (options_.count_traffic) both(family, "traffic", run, element(false));
    }
  }
  void live(std::span<const core::NatChange> run) {
    // A mark's family is not part of the change; in the table of the other one it is never met.
    for (const std::uint8_t family : nat_families(options_)) {
      both(family, "live", run, [](ElementWriter& to, const core::NatChange& change, bool adding) {
        const auto& one = std::get<core::SetLive>(change);
        if (adding == one.live) to.add(number_bytes(one.mark).view());
      });
    }
  }
  void nets(std::span<const core::NatChange> run) {
    const auto& first = std::get<core::SetHairpin>(run.front());
    both(address_family(first.prefix.address.family), "nets", run,
         [](ElementWriter& to, const core::NatChange& change, bool adding) {
           const auto& one = std::get<core::SetHairpin>(change);
           if (adding == one.present) to.add(prefix_bytes(one.prefix).view());
         });
  }

 private:
  template <typename Each>
  void both(std::uint8_t family, std::string_view set, std::span<const core::NatChange> run,
            Each each) {
    for (const bool adding : {false, true}) {
      ElementWriter to{writer_, options_, family, set,
                       adding ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM};
      for (const auto& change : run) each(to, change, adding);
    }
  }

  NetlinkWriter& writer_;
  const NatOptions& options_;
};

/// Changes with equal groups go to the same sets.
std::pair<std::size_t, std::uint32_t> group_of(const core::NatChange& change) {
  std::uint32_t group = 0;
  if (const auto* slot = std::get_if<core::SetSlot>(&change)) {
    group = address_family(slot->service.address.family) +
            256U * static_cast<std::uint32_t>(slot->slot_class);
  } else if (const auto* spread = std::get_if<core::SetSpread>(&change)) {
    group = address_family(spread->service.address.family);
  } else if (const auto* net = std::get_if<core::SetHairpin>(&change)) {
    group = address_family(net->prefix.address.family);
  }
  return {change.index(), group};
}

}  // namespace

ElementBytes vip_bytes(const core::VipKey& vip) {
  ElementBytes all;
  put_address(all, vip.address);
  put_number(all, static_cast<std::uint8_t>(vip.protocol));
  put_number(all, htons(vip.port));
  return all;
}
ElementBytes slot_bytes(const core::VipKey& vip, std::uint16_t slot) {
  ElementBytes all = vip_bytes(vip);
  put_number(all, std::uint32_t{slot});
  return all;
}
ElementBytes server_bytes(const core::NatServer& server) {
  ElementBytes all;
  put_address(all, server.address);
  put_number(all, htons(server.port));
  return all;
}
ElementBytes number_bytes(std::uint32_t number) {
  ElementBytes all;
  put_number(all, number);
  return all;
}

std::optional<core::VipKey> read_vip(std::span<const std::byte> bytes, Family family) {
  const auto address = take_address(bytes, family);
  const auto protocol = take_number<std::uint8_t>(bytes);
  const auto port = take_number<std::uint16_t>(bytes);
  if (!address || !protocol || !port || *port == 0) return std::nullopt;
  if (*protocol != IPPROTO_TCP && *protocol != IPPROTO_UDP) return std::nullopt;
  return core::VipKey{*address, static_cast<core::L4>(*protocol), ntohs(*port)};
}
std::optional<core::NatServer> read_server(std::span<const std::byte> bytes, Family family) {
  const auto address = take_address(bytes, family);
  const auto port = take_number<std::uint16_t>(bytes);
  if (!address || !port) return std::nullopt;
  return core::NatServer{*address, ntohs(*port)};
}
std::optional<std::uint32_t> read_number(std::span<const std::byte> bytes) {
  return bytes.size() == 4 ? take_number<std::uint32_t>(bytes) : std::nullopt;
}

ElementWriter::ElementWriter(NetlinkWriter& writer, const NatOptions& options, std::uint8_t family,
                             std::string_view set, int type)
    : writer_(writer), options_(options), family_(family), set_(set), type_(type) {}

ElementWriter::~ElementWriter() { finish(); }

void ElementWriter::finish() {
  if (list_) writer_.close(*list_);
  list_.reset();
}

void ElementWriter::add(std::span<const std::byte> key, std::span<const std::byte> data,
                        std::uint32_t flags) {
  if (list_ && writer_.length(*list_) > full_list) finish();
  if (!list_) {
    writer_.message(
        nft_message(type_),
        static_cast<std::uint16_t>(type_ == NFT_MSG_NEWSETELEM ? NLM_F_CREATE | NLM_F_EXCL : 0),
        family_);
    writer_.text(NFTA_SET_ELEM_LIST_TABLE, options_.table);
    writer_.text(NFTA_SET_ELEM_LIST_SET, set_);
    list_ = writer_.open(NFTA_SET_ELEM_LIST_ELEMENTS);
  }
  const std::size_t element = writer_.open(NFTA_LIST_ELEM);
  const std::size_t key_nest = writer_.open(NFTA_SET_ELEM_KEY);
  writer_.bytes(NFTA_DATA_VALUE, key);
  writer_.close(key_nest);
  if (!data.empty()) {
    const std::size_t data_nest = writer_.open(NFTA_SET_ELEM_DATA);
    writer_.bytes(NFTA_DATA_VALUE, data);
    writer_.close(data_nest);
  }
  if (flags != 0) writer_.u32(NFTA_SET_ELEM_FLAGS, flags);
  writer_.close(element);
}

void write_key(NetlinkWriter& writer, std::span<const std::byte> key) {
  const std::size_t element = writer.open(NFTA_LIST_ELEM);
  const std::size_t nest = writer.open(NFTA_SET_ELEM_KEY);
  writer.bytes(NFTA_DATA_VALUE, key);
  writer.close(nest);
  writer.close(element);
}

void write_nat_elements(NetlinkWriter& writer, const NatOptions& options,
                        const core::NatTable& table) {
  for (const std::uint8_t number : nat_families(options)) {
    const Family family = number == AF_INET ? Family::v4 : Family::v6;
    {
      ElementWriter live{writer, options, number, "live", NFT_MSG_NEWSETELEM};
      for (const core::Mark mark : table.live) live.add(number_bytes(mark).view());
    }
    {
      ElementWriter servers{writer, options, number, "be", NFT_MSG_NEWSETELEM};
      for (const auto& [mark, server] : table.servers) {
        if (server.address.family == family) {
          servers.add(number_bytes(mark).view(), server_bytes(server).view());
        }
      }
    }
    if (options.count_traffic) {
      ElementWriter traffic{writer, options, number, "traffic", NFT_MSG_NEWSETELEM};
      for (const auto& [mark, server] : table.servers) {
        if (server.address.family == family) traffic.add(number_bytes(mark).view());
      }
    }
    for (const core::SlotClass slot_class : all_slot_classes) {
      ElementWriter slots{writer, options, number, slot_map(slot_class), NFT_MSG_NEWSETELEM};
      for (const auto& [vip, service] : table.services) {
        if (vip.address.family != family || service.slot_class != slot_class) continue;
        for (std::size_t slot = 0; slot < service.slots.size(); ++slot) {
          if (service.slots[slot] == 0) continue;  // an empty slot drops what comes to it
          slots.add(slot_bytes(vip, static_cast<std::uint16_t>(slot)).view(),
                    number_bytes(service.slots[slot]).view());
        }
      }
    }
    {
      ElementWriter vips{writer, options, number, "vip", NFT_MSG_NEWSETELEM};
      for (const auto& [vip, service] : table.services) {
        if (vip.address.family != family) continue;
        const core::SetSpread::How how{service.slot_class,
                                       service.slots.empty()
                                           ? core::SetSpread::As::reject
                                           : static_cast<core::SetSpread::As>(service.spread)};
        vips.add(vip_bytes(vip).view(), number_bytes(nat_kind(how)).view());
      }
    }
    {
      ElementWriter nets{writer, options, number, "nets", NFT_MSG_NEWSETELEM};
      for (const auto& prefix : table.hairpin) {
        if (prefix.address.family == family) nets.add(prefix_bytes(prefix).view());
      }
    }
    write_hairpin(writer, options, family, table.hairpin);
  }
}

void write_nat_changes(NetlinkWriter& writer, const NatOptions& options,
                       std::span<const core::NatChange> changes,
                       const std::set<core::IpPrefix>& hairpin) {
  Run run{writer, options};
  bool nets_changed = false;
  while (!changes.empty()) {
    const auto group = group_of(changes.front());
    std::size_t size = 1;
    while (size < changes.size() && group_of(changes[size]) == group) ++size;
    const auto part = changes.first(size);
    if (std::holds_alternative<core::SetSlot>(part.front())) run.slots(part);
    if (std::holds_alternative<core::SetSpread>(part.front())) run.spreads(part);
    if (std::holds_alternative<core::SetServer>(part.front())) run.servers(part);
    if (std::holds_alternative<core::SetLive>(part.front())) run.live(part);
    if (std::holds_alternative<core::SetHairpin>(part.front())) {
      run.nets(part);
      nets_changed = true;
    }
    changes = changes.subspan(size);
  }
  if (!nets_changed) return;
  for (const std::uint8_t number : nat_families(options)) {
    writer.message(nft_message(NFT_MSG_DELSETELEM), 0,
                   number);  // all of them
    writer.text(NFTA_SET_ELEM_LIST_TABLE, options.table);
    writer.text(NFTA_SET_ELEM_LIST_SET, "hairpin");
    write_hairpin(writer, options, number == AF_INET ? Family::v4 : Family::v6, hairpin);
  }
}

std::vector<ListedElement> read_elements(const nlmsghdr& message) {
  std::vector<ListedElement> all;
  const nlattr* list = find(attributes(message), NFTA_SET_ELEM_LIST_ELEMENTS);
  each_attribute(list, [&](const nlattr& element) {
    const Attributes parts = attributes(&element);
    ListedElement one;
    one.key = value(find(attributes(find(parts, NFTA_SET_ELEM_KEY)), NFTA_DATA_VALUE));
    one.data = value(find(attributes(find(parts, NFTA_SET_ELEM_DATA)), NFTA_DATA_VALUE));
    if (const nlattr* counter = find(parts, NFTA_SET_ELEM_EXPR)) {
      const Attributes data = attributes(find(attributes(counter), NFTA_EXPR_DATA));
      one.packets = be64(find(data, NFTA_COUNTER_PACKETS)).value_or(0);
      one.bytes = be64(find(data, NFTA_COUNTER_BYTES)).value_or(0);
    }
    all.push_back(one);
  });
  return all;
}

}  // namespace sentinel::io
