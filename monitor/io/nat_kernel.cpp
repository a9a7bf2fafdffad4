#include "io/nat_kernel.hpp"

#include <libmnl/libmnl.h>

#include <algorithm>
#include <cerrno>
#include <format>
#include <utility>

#include "io/nat_elements.hpp"
#include "io/nat_expressions.hpp"
#include "io/nat_lists.hpp"
#include "io/nat_watch.hpp"
#include "io/runtime.hpp"

namespace sentinel::io {
namespace {

using core::Family;
using core::NatTable;

constexpr std::size_t longest_name = 64;
constexpr std::size_t many_changes = 16;
constexpr std::size_t keys_at_once = 64;  // each is answered by a message of about 4 KiB of space

Family family_of(std::uint8_t number) { return number == AF_INET ? Family::v4 : Family::v6; }

/// What a message of a transaction was about, for people.
std::string about(NetlinkWriter& writer, std::size_t number) {
  const auto data = writer.data();
  std::size_t at = 0;
  while (number-- > 0 && at + sizeof(nlmsghdr) <= data.size()) {
    at += (reinterpret_cast<const nlmsghdr*>(data.data() + at)->nlmsg_len + 3) & ~std::size_t{3};
  }
  if (at + sizeof(nlmsghdr) > data.size()) return {};
  const auto& message = *reinterpret_cast<const nlmsghdr*>(data.data() + at);
  if (message.nlmsg_type < NLMSG_MIN_TYPE || message.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) {
    return {};
  }
  const Attributes parts = attributes(message);
  const auto* extra = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message));
  const std::string table =
      std::format("{} {}", extra->nfgen_family == AF_INET ? "ip" : "ip6", text(find(parts, 1)));
  switch (message.nlmsg_type & 0xff) {
    case NFT_MSG_NEWSETELEM:
    case NFT_MSG_DELSETELEM:
      return std::format(" at '{}' of table {}", text(find(parts, NFTA_SET_ELEM_LIST_SET)), table);
    case NFT_MSG_NEWRULE:
      return std::format(" at a rule of chain '{}' of table {}", text(find(parts, NFTA_RULE_CHAIN)),
                         table);
    case NFT_MSG_NEWCHAIN:
      return std::format(" at chain '{}' of table {}", text(find(parts, NFTA_CHAIN_NAME)), table);
    case NFT_MSG_NEWSET:
      return std::format(" at set '{}' of table {}", text(find(parts, NFTA_SET_NAME)), table);
    default: return std::format(" at table {}", table);
  }
}

}  // namespace

class NatKernel::Impl {
 public:
  Impl(NatOptions options, NetlinkSocket socket)
      : options_(std::move(options)), socket_(std::move(socket)) {}

  std::expected<std::optional<NatTable>, Error> load() {
    hairpin_.reset();
    NatTable table;
    std::optional<core::Duration> timeout;
    std::set<core::Mark> live_seen;
    bool sound = true;
    for (const std::uint8_t family : nat_families(options_)) {
      const auto shape = shape_of(family);
      if (!shape) return std::unexpected(shape.error());
      if (!*shape || (timeout && *timeout != **shape)) return std::nullopt;
      timeout = **shape;
      std::set<core::Mark> live;
      const auto read = load_family(family, table, live);
      if (!read) return std::unexpected(read.error());
      sound = sound && *read && (family == AF_INET || live == table.live);
      if (family == AF_INET) table.live = std::move(live);
    }
    if (!sound) return std::nullopt;
    table.sticky_timeout = *timeout;
    hairpin_ = table.hairpin;
    return table;
  }

  std::expected<NatTransaction, Error> create(const NatTable& table) {
    if (!options_.ipv6 && std::ranges::any_of(table.services, [](const auto& one) {
          return one.first.address.family == Family::v6;
        })) {
      return std::unexpected(Error{"IPv6 is switched off for the NAT table", EAFNOSUPPORT});
    }
    writer_.clear();
    writer_.begin_transaction();
    write_nat_removal(writer_, options_);
    write_nat_rules(writer_, options_, table.sticky_timeout);
    write_nat_elements(writer_, options_, table);
    writer_.end_transaction();
    // Events of each element would only fill our own ears.
    if (watch_) watch_->pause();
    auto done = transact();
    if (watch_) {
      watch_->resume();
      watch_->look();
    }
    if (done) hairpin_ = table.hairpin;
    return done;
  }

  std::expected<NatTransaction, Error> apply(const std::vector<core::NatChange>& changes) {
    if (!hairpin_) return std::unexpected(Error{"the NAT table is not known yet", ENOENT});
    if (changes.empty()) return NatTransaction{};
    const core::Time begin = now();
    std::optional<std::set<core::IpPrefix>> hairpin;  // where it changes
    for (const auto& change : changes) {
      const auto* net = std::get_if<core::SetHairpin>(&change);
      if (net == nullptr) continue;
      if (!hairpin) hairpin = hairpin_;
      if (net->present) hairpin->insert(net->prefix);
      if (!net->present) hairpin->erase(net->prefix);
    }
    writer_.clear();
    writer_.begin_transaction();
    write_nat_changes(writer_, options_, changes, hairpin ? *hairpin : *hairpin_);
    writer_.end_transaction();
    auto done =
        watch_ && changes.size() >= many_changes ? transact_unheard(begin) : transact(begin);
    if (done && hairpin) hairpin_ = std::move(hairpin);
    return done;
  }

  std::expected<NatTransaction, Error> remove() {
    writer_.clear();
    writer_.begin_transaction();
    write_nat_removal(writer_, options_);
    writer_.end_transaction();
    auto done = transact();
    if (done) hairpin_.reset();
    return done;
  }

  std::expected<std::map<core::Mark, NatCount>, Error> counts() {
    std::map<core::Mark, NatCount> all;
    for (const std::uint8_t family : nat_families(options_)) {
      const auto connections = lists_.elements(family, "be", [&](const ListedElement& one) {
        if (const auto mark = read_number(one.key)) all[*mark].connections = one.packets;
      });
      if (!connections) return std::unexpected(connections.error());
      if (!options_.count_traffic) continue;
      const auto traffic = lists_.elements(family, "traffic", [&](const ListedElement& one) {
        const auto mark = read_number(one.key);
        if (!mark) return;
        all[*mark].packets = one.packets;
        all[*mark].bytes = one.bytes;
      });
      if (!traffic) return std::unexpected(traffic.error());
    }
    return all;
  }

  std::expected<std::uint64_t, Error> misses() {
    std::uint64_t all = 0;
    for (const std::uint8_t family : nat_families(options_)) {
      NetlinkWriter request;
      request.message(nft_message(NFT_MSG_GETOBJ), NLM_F_ACK, family);
      request.text(NFTA_OBJ_TABLE, options_.table);
      request.text(NFTA_OBJ_NAME, "miss");
      request.u32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
      const auto read = socket_.dump(request, [&](const nlmsghdr& message) {
        const Attributes data = attributes(find(attributes(message), NFTA_OBJ_DATA));
        all += be64(find(data, NFTA_COUNTER_PACKETS)).value_or(0);
      });
      if (!read) return std::unexpected(unreadable("the counter of misses", read.error()));
    }
    return all;
  }

  std::expected<bool, Error> intact() {
    for (const std::uint8_t family : nat_families(options_)) {
      const auto shape = shape_of(family);
      if (!shape) return std::unexpected(shape.error());
      if (!*shape) return false;
    }
    return true;
  }

  std::expected<void, Error> watch(boost::asio::io_context& context,
                                   std::function<void(std::string)> on_foreign) {
    auto made =
        NatWatch::start(context, options_.table, socket_.port(), std::move(on_foreign), [this] {
          const auto whole = intact();
          return whole.has_value() && *whole;
        });
    if (!made) return std::unexpected(made.error());
    watch_ = *std::move(made);
    return {};
  }

 private:
  std::expected<NatTransaction, Error> transact(std::optional<core::Time> begin = std::nullopt) {
    const core::Time start = begin.value_or(now());
    const auto done = socket_.transact(writer_);
    if (done) {
      return NatTransaction{now() - start, writer_.messages(), writer_.data().size()};
    }
    const auto& [error, message] = done.error();
    const bool lost = error.code == ENOBUFS;
    return std::unexpected(
        Error{std::format("{}{}: {}", lost ? "the NAT table" : "the kernel refused the NAT table",
                          lost ? "" : about(writer_, message), error.text),
              error.code});
  }

  /// The kernel writes a message about each element when somebody listens, which takes it as long
  /// as the change itself: so we do not, for that moment. Whether somebody else was at work in it
  /// is told by the number of the ruleset's generation.
  std::expected<NatTransaction, Error> transact_unheard(core::Time begin) {
    const auto before = generation();
    watch_->pause();
    auto done = transact(begin);
    watch_->resume();
    const auto after = generation();
    if (!before || !after || *after - *before > 1) watch_->look();
    return done;
  }

  /// One more after each transaction of anybody in this network namespace.
  std::optional<std::uint32_t> generation() {
    NetlinkWriter request;
    request.message(nft_message(NFT_MSG_GETGEN), NLM_F_ACK, AF_UNSPEC);
    std::optional<std::uint32_t> number;
    const auto read = socket_.dump(request, [&](const nlmsghdr& message) {
      number = be32(find(attributes(message), NFTA_GEN_ID));
    });
    return read ? number : std::nullopt;
  }

  /// The sticky timeout of a complete table; nullopt: there is none, or it is of another shape.
  std::expected<std::optional<core::Duration>, Error> shape_of(std::uint8_t family) {
    NetlinkWriter request;
    request.message(nft_message(NFT_MSG_GETTABLE), NLM_F_ACK, family);
    request.text(NFTA_TABLE_NAME, options_.table);
    bool dormant = false;
    const auto there = socket_.dump(request, [&](const nlmsghdr& message) {
      const std::uint32_t flags = be32(find(attributes(message), NFTA_TABLE_FLAGS)).value_or(0);
      dormant = (flags & NFT_TABLE_F_DORMANT) != 0;
    });
    if (!there && there.error().code == ENOENT) return std::nullopt;
    if (!there) return std::unexpected(unreadable("the NAT table", there.error()));
    if (dormant) return std::nullopt;

    NatShape shape;
    std::uint64_t sticky_ms = 0;
    const auto sets = lists_.read(
        [&](NetlinkWriter& ask) {
          ask.message(nft_message(NFT_MSG_GETSET), NLM_F_DUMP, family);
          ask.text(NFTA_SET_TABLE, options_.table);
        },
        [&] { shape.sets.clear(); },
        [&](const nlmsghdr& message) {
          const Attributes parts = attributes(message);
          shape.sets.emplace_back(text(find(parts, NFTA_SET_NAME)));
          if (shape.sets.back() == "sticky") {
            sticky_ms = be64(find(parts, NFTA_SET_TIMEOUT)).value_or(0);
          }
        },
        "the sets of the NAT table");
    if (!sets) return gone(sets.error());

    std::map<std::string, std::size_t> chains;
    const auto rules = lists_.read(
        [&](NetlinkWriter& ask) {
          ask.message(nft_message(NFT_MSG_GETRULE), NLM_F_DUMP, family);
          ask.text(NFTA_RULE_TABLE, options_.table);
        },
        [&] { chains.clear(); },
        [&](const nlmsghdr& message) {
          const Attributes parts = attributes(message);
          if (text(find(parts, NFTA_RULE_TABLE)) != options_.table) return;
          ++chains[std::string{text(find(parts, NFTA_RULE_CHAIN))}];
        },
        "the rules of the NAT table");
    if (!rules) return gone(rules.error());
    std::ranges::sort(shape.sets);
    shape.chains.assign(chains.begin(), chains.end());
    if (shape != nat_shape(options_)) return std::nullopt;
    return std::chrono::milliseconds{static_cast<std::int64_t>(sticky_ms)};
  }

  /// A table that vanishes while it is read is no table.
  static std::expected<std::optional<core::Duration>, Error> gone(const Error& error) {
    if (error.code == ENOENT) return std::nullopt;
    return std::unexpected(error);
  }

  /// Slots are asked for by their keys: the kernel lists a large set in a time that grows with its
  /// square (each part of the answer walks the set from its beginning).
  std::expected<void, Error> load_slots(std::uint8_t family,
                                        std::map<core::VipKey, core::NatService>& services,
                                        bool& sound) {
    NetlinkWriter request;
    for (auto& [vip, service] : services) {
      for (std::size_t next = 0; next < service.slots.size();) {
        request.clear();
        request.message(nft_message(NFT_MSG_GETSETELEM), NLM_F_ACK, family);
        request.text(NFTA_SET_ELEM_LIST_TABLE, options_.table);
        request.text(NFTA_SET_ELEM_LIST_SET, slot_map(service.slot_class));
        const std::size_t list = request.open(NFTA_SET_ELEM_LIST_ELEMENTS);
        const std::size_t end = std::min(service.slots.size(), next + keys_at_once);
        for (std::size_t slot = next; slot < end; ++slot) {
          write_key(request, slot_bytes(vip, static_cast<std::uint16_t>(slot)).view());
        }
        request.close(list);
        const auto read = socket_.dump(request, [&](const nlmsghdr& message) {
          for (const ListedElement& one : read_elements(message)) {
            const auto mark = read_number(one.data);
            sound = sound && mark;
            if (next < end) service.slots[next++] = mark.value_or(0);
          }
        });
        if (read) continue;
        if (read.error().code != ENOENT) {
          return std::unexpected(unreadable("the slots of the NAT table", read.error()));
        }
        ++next;  // the one after those that were answered is not there
      }
    }
    return {};
  }

  /// False: what is there does not fit together.
  std::expected<bool, Error> load_family(std::uint8_t number, NatTable& table,
                                         std::set<core::Mark>& live) {
    const Family family = family_of(number);
    bool sound = true;
    std::map<core::VipKey, core::NatService> services;
    std::map<core::Mark, core::NatServer> servers;
    std::set<core::Mark> counted;
    std::set<core::IpPrefix> nets;

    auto done = lists_.elements(
        number, "vip",
        [&](const ListedElement& one) {
          const auto vip = read_vip(one.key, family);
          const auto kind = read_number(one.data);
          const auto how = kind ? nat_how(*kind) : std::nullopt;
          sound = sound && vip && how;
          if (!vip || !how) return;
          core::NatService service;
          if (how->as != core::SetSpread::As::reject) {
            service.slot_class = how->slot_class;
            service.spread = static_cast<core::Spread>(how->as);
            service.slots.resize(static_cast<std::size_t>(how->slot_class));
          }
          services[*vip] = std::move(service);
        },
        [&] { services.clear(); });
    if (!done) return std::unexpected(done.error());

    done = load_slots(number, services, sound);
    if (!done) return std::unexpected(done.error());

    done = lists_.elements(
        number, "be",
        [&](const ListedElement& one) {
          const auto mark = read_number(one.key);
          const auto server = read_server(one.data, family);
          sound = sound && mark && server;
          if (mark && server) servers[*mark] = *server;
        },
        [&] { servers.clear(); });
    if (!done) return std::unexpected(done.error());
    done = lists_.elements(
        number, "live",
        [&](const ListedElement& one) {
          if (const auto mark = read_number(one.key)) live.insert(*mark);
        },
        [&] { live.clear(); });
    if (!done) return std::unexpected(done.error());
    if (options_.count_traffic) {
      done = lists_.elements(
          number, "traffic",
          [&](const ListedElement& one) {
            if (const auto mark = read_number(one.key)) counted.insert(*mark);
          },
          [&] { counted.clear(); });
      if (!done) return std::unexpected(done.error());
      sound = sound &&
              std::ranges::equal(counted, servers, {}, {}, &decltype(servers)::value_type::first);
    }
    done = lists_.elements(
        number, "nets",
        [&](const ListedElement& one) {
          core::IpPrefix prefix{.address = {.family = family}, .length = 0};
          const std::size_t size = family == Family::v4 ? 4 : 16;
          const auto length =
              one.key.size() == size + 4 ? read_number(one.key.last(4)) : std::nullopt;
          sound = sound && length && *length <= size * 8;
          if (!length || *length > size * 8) return;
          std::ranges::transform(
              one.key.first(size), prefix.address.bytes.begin(),
              [](std::byte byte) { return std::to_integer<std::uint8_t>(byte); });
          prefix.length = static_cast<std::uint8_t>(*length);
          nets.insert(prefix);
        },
        [&] { nets.clear(); });
    if (!done) return std::unexpected(done.error());

    table.services.merge(services);
    table.servers.merge(servers);
    table.hairpin.merge(nets);
    return sound && servers.empty();
  }

  NatOptions options_;
  NetlinkSocket socket_;
  NatLists lists_{socket_, options_.table};
  NetlinkWriter writer_;
  std::optional<std::set<core::IpPrefix>> hairpin_;  // what the kernel has; nullopt: not known
  std::shared_ptr<NatWatch> watch_;
};

NatKernel::NatKernel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NatKernel::~NatKernel() = default;

std::expected<std::unique_ptr<NatKernel>, Error> NatKernel::open(NatOptions options) {
  const auto allowed = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '_';
  };
  if (options.table.empty() || options.table.size() > longest_name ||
      !std::ranges::all_of(options.table, allowed)) {
    return std::unexpected(Error{"the NAT table's name is not valid", EINVAL});
  }
  auto socket = NetlinkSocket::open();
  if (!socket) return std::unexpected(socket.error());
  return std::unique_ptr<NatKernel>{
      new NatKernel{std::make_unique<Impl>(std::move(options), *std::move(socket))}};
}

std::expected<std::optional<NatTable>, Error> NatKernel::load() { return impl_->load(); }
std::expected<NatTransaction, Error> NatKernel::create(const NatTable& table) {
  return impl_->create(table);
}
std::expected<NatTransaction, Error> NatKernel::apply(const std::vector<core::NatChange>& changes) {
  return impl_->apply(changes);
}
std::expected<NatTransaction, Error> NatKernel::remove() { return impl_->remove(); }
std::expected<std::map<core::Mark, NatCount>, Error> NatKernel::counts() { return impl_->counts(); }
std::expected<std::uint64_t, Error> NatKernel::misses() { return impl_->misses(); }
std::expected<bool, Error> NatKernel::intact() { return impl_->intact(); }
std::expected<void, Error> NatKernel::watch(boost::asio::io_context& context,
                                            std::function<void(std::string)> on_foreign) {
  return impl_->watch(context, std::move(on_foreign));
}

}  // namespace sentinel::io
