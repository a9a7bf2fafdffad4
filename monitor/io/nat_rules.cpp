#include "io/nat_rules.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>

#include <algorithm>
#include <format>
#include <functional>
#include <iterator>

#include "io/nat_expressions.hpp"

namespace sentinel::io {
namespace {

using core::SlotClass;
using As = core::SetSpread::As;

constexpr int layout_version = 2;
constexpr std::uint32_t hash_seed = 0x5e5e;
constexpr std::uint32_t sticky_clients =
    262'144;  // the kernel forgets no sooner; more are not kept
constexpr int nat_priority = -105;
constexpr int source_nat_priority = 95;
constexpr int forward_priority = -10;  // before the filters that may ask for the mark
constexpr int count_priority = 300;    // after address translation

// Numbers of types as the nft tool knows them, for its listings only; a concatenation packs them by
// six bits.
enum class Type : std::uint32_t { ipv4 = 7, ipv6 = 8, protocol = 12, port = 13, mark = 19 };

constexpr std::uint32_t concat(std::initializer_list<Type> types) {
  std::uint32_t all = 0;
  for (const Type type : types) all = all << 6 | static_cast<std::uint32_t>(type);
  return all;
}

std::size_t index_of(SlotClass slot_class) {
  return static_cast<std::size_t>(std::ranges::find(all_slot_classes, slot_class) -
                                  all_slot_classes.begin());
}

std::string pick_chain(const core::SetSpread::How& how) {
  const char* prefix = how.as == As::round_robin ? "rr" : how.as == As::source_hash ? "sh" : "st";
  return how.as == As::reject ? "reject"
                              : std::format("{}{}", prefix, static_cast<int>(how.slot_class));
}

/// Every kind there is, in the order of their numbers.
std::vector<core::SetSpread::How> all_kinds() {
  std::vector<core::SetSpread::How> all{{SlotClass::small, As::reject}};
  for (const SlotClass slot_class : all_slot_classes) {
    for (const As as : {As::round_robin, As::source_hash, As::sticky}) {
      all.push_back({slot_class, as});
    }
  }
  return all;
}

struct Set {
  std::string name;
  std::uint32_t key_type = 0;
  std::size_t key_size = 0;
  std::uint32_t data_type = 0;
  std::size_t data_size = 0;  // 0: a set, no map
  std::uint32_t flags = 0;
  core::Duration timeout{};
  std::uint32_t size = 0;
  bool counts = false;
};

/// Writes the table of one family.
class Family : private RuleWriter {
 public:
  Family(NetlinkWriter& writer, const NatOptions& options, std::uint8_t family)
      : RuleWriter(writer, options.table, family), options_(options) {}

  void table() {
    start(NFT_MSG_NEWTABLE, NLM_F_CREATE);
    writer_.u32(NFTA_TABLE_FLAGS, 0);
  }
  void drop_table() { start(NFT_MSG_DELTABLE, 0); }

  void contents(core::Duration sticky_timeout) {
    for (const Set& one : sets(sticky_timeout)) set(one);
    counter("miss");
    for (const char* name : {"miss", "send", "keep", "known", "reject", "pick"}) chain(name);
    for (const auto& kind : all_kinds()) {
      if (kind.as != As::reject) chain(pick_chain(kind));
    }
    kinds();
    rules();
  }

  NatShape shape() const {
    NatShape all;
    for (const Set& one : sets({})) all.sets.push_back(one.name);
    std::ranges::sort(all.sets);
    all.chains = {{"miss", 1}, {"send", 2}, {"keep", 3}, {"known", 2}, {"reject", 2},
                  {"pick", 2}, {"pre", 1},  {"out", 1},  {"post", 4}};
    for (const auto& kind : all_kinds()) {
      if (kind.as != As::reject) all.chains.emplace_back(pick_chain(kind), rules_of(kind));
    }
    if (options_.forward_mark != 0) all.chains.emplace_back("forward", 1);
    if (options_.count_traffic) all.chains.emplace_back("count", 1);
    std::ranges::sort(all.chains);
    return all;
  }

 private:
  static std::size_t rules_of(const core::SetSpread::How& kind) {
    return kind.as == As::sticky ? 5 : kind.as == As::round_robin ? 3 : 2;
  }

  Type address_type() const { return v6_ ? Type::ipv6 : Type::ipv4; }

  std::vector<Set> sets(core::Duration sticky_timeout) const {
    const Type address = address_type();
    const std::size_t vip = address_size() + 8;
    constexpr auto mark = static_cast<std::uint32_t>(Type::mark);
    std::vector<Set> all{
        {.name = nat_layout(options_), .key_type = mark, .key_size = 4},
        {.name = "vip",
         .key_type = concat({address, Type::protocol, Type::port}),
         .key_size = vip,
         .data_type = mark,
         .data_size = 4},
        {.name = "kind",
         .key_type = mark,
         .key_size = 4,
         .data_type = NFT_DATA_VERDICT,
         .data_size = 4},
        {.name = "be",
         .key_type = mark,
         .key_size = 4,
         .data_type = concat({address, Type::port}),
         .data_size = address_size() + 4,
         .counts = true},
        {.name = "live", .key_type = mark, .key_size = 4},
        {.name = "sticky",
         .key_type = concat({address, address, Type::protocol, Type::port}),
         .key_size = vip + address_size(),
         .data_type = mark,
         .data_size = 4,
         .flags = NFT_SET_TIMEOUT | NFT_SET_EVAL,
         .timeout = sticky_timeout,
         .size = sticky_clients},
        {.name = "nets", .key_type = concat({address, Type::mark}), .key_size = address_size() + 4},
        {.name = "hairpin",
         .key_type = static_cast<std::uint32_t>(address),
         .key_size = address_size(),
         .flags = NFT_SET_INTERVAL},
    };
    for (const SlotClass slot_class : all_slot_classes) {
      all.push_back({.name = std::string{slot_map(slot_class)},
                     .key_type = concat({address, Type::protocol, Type::port, Type::mark}),
                     .key_size = vip + 4,
                     .data_type = mark,
                     .data_size = 4});
    }
    if (options_.count_traffic) {
      all.push_back({.name = "traffic", .key_type = mark, .key_size = 4, .counts = true});
    }
    return all;
  }

  void set(const Set& one) {
    start(NFT_MSG_NEWSET, NLM_F_CREATE);
    writer_.text(NFTA_SET_NAME, one.name);
    writer_.u32(NFTA_SET_FLAGS, one.flags | (one.data_size > 0 ? std::uint32_t{NFT_SET_MAP} : 0U));
    writer_.u32(NFTA_SET_KEY_TYPE, one.key_type);
    writer_.u32(NFTA_SET_KEY_LEN, static_cast<std::uint32_t>(one.key_size));
    if (one.data_size > 0) {
      writer_.u32(NFTA_SET_DATA_TYPE, one.data_type);
      if (one.data_type != NFT_DATA_VERDICT) {
        writer_.u32(NFTA_SET_DATA_LEN, static_cast<std::uint32_t>(one.data_size));
      }
    }
    writer_.u32(NFTA_SET_ID, ++set_id_);
    if (one.timeout > core::Duration{}) {
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(one.timeout);
      writer_.u64(NFTA_SET_TIMEOUT, static_cast<std::uint64_t>(ms.count()));
    }
    if (one.size > 0) {
      const std::size_t nest = writer_.open(NFTA_SET_DESC);
      writer_.u32(NFTA_SET_DESC_SIZE, one.size);
      writer_.close(nest);
    }
    write_byte_orders(one);
    if (one.counts) {
      const std::size_t nest = writer_.open(NFTA_SET_EXPR);
      writer_.text(NFTA_EXPR_NAME, "counter");
      writer_.close(writer_.open(NFTA_EXPR_DATA));
      writer_.close(nest);
    }
  }

  /// For the nft tool: in which order the bytes of numbers are. Type, length, value of 4 bytes.
  void write_byte_orders(const Set& one) {
    constexpr std::uint32_t host_order = 1;
    constexpr auto mark = static_cast<std::uint32_t>(Type::mark);
    std::vector<std::byte> all;
    const auto add = [&](std::uint8_t kind) {
      all.insert(all.end(), {std::byte{kind}, std::byte{sizeof host_order}});
      std::ranges::copy(std::as_bytes(std::span{&host_order, 1}), std::back_inserter(all));
    };
    if (one.key_type == mark) add(0);
    if (one.data_size > 0 && one.data_type == mark) add(1);
    if (!all.empty()) writer_.bytes(NFTA_SET_USERDATA, all);
  }

  void counter(std::string_view name) {
    start(NFT_MSG_NEWOBJ, NLM_F_CREATE);
    writer_.text(NFTA_OBJ_NAME, name);
    writer_.u32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
    writer_.close(writer_.open(NFTA_OBJ_DATA));
  }

  void chain(std::string_view name) {
    start(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    writer_.text(NFTA_CHAIN_NAME, name);
  }

  void hook(std::string_view name, std::string_view type, std::uint32_t hook_number, int priority) {
    chain(name);
    const std::size_t nest = writer_.open(NFTA_CHAIN_HOOK);
    writer_.u32(NFTA_HOOK_HOOKNUM, hook_number);
    writer_.u32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(priority));
    writer_.close(nest);
    writer_.text(NFTA_CHAIN_TYPE, type);
    writer_.u32(NFTA_CHAIN_POLICY, NF_ACCEPT);
  }

  void kinds() {
    start(NFT_MSG_NEWSETELEM, NLM_F_CREATE);
    writer_.text(NFTA_SET_ELEM_LIST_SET, "kind");
    const std::size_t list = writer_.open(NFTA_SET_ELEM_LIST_ELEMENTS);
    for (const auto& how : all_kinds()) {
      const std::size_t element = writer_.open(NFTA_LIST_ELEM);
      const std::size_t key = writer_.open(NFTA_SET_ELEM_KEY);
      const std::uint32_t number = nat_kind(how);
      writer_.bytes(NFTA_DATA_VALUE, std::as_bytes(std::span{&number, 1}));
      writer_.close(key);
      const std::size_t data = writer_.open(NFTA_SET_ELEM_DATA);
      verdict(NFT_GOTO, pick_chain(how));
      writer_.close(data);
      writer_.close(element);
    }
    writer_.close(list);
  }

  void change_sticky(std::string_view chain_name, std::uint32_t operation) {
    rule(chain_name, [&] {
      load_source(0);
      load_vip(address_words());
      load_ct(NFT_CT_MARK, scratch);
      expression("dynset", [&] {
        writer_.text(NFTA_DYNSET_SET_NAME, "sticky");
        writer_.u32(NFTA_DYNSET_OP, operation);
        writer_.u32(NFTA_DYNSET_SREG_KEY, reg(0));
        writer_.u32(NFTA_DYNSET_SREG_DATA, reg(scratch));
      });
    });
  }

  /// The slot of the service, by counting or by the client; sets the mark and goes on.
  void pick_slot(std::string_view chain_name, const core::SetSpread::How& how,
                 std::string_view then) {
    rule(chain_name, [&] {
      const std::size_t slot = load_vip(0);
      const auto modulus = static_cast<std::uint32_t>(how.slot_class);
      if (how.as == As::source_hash) {
        load_source(scratch);
        expression("hash", [&] {
          writer_.u32(NFTA_HASH_SREG, reg(scratch));
          writer_.u32(NFTA_HASH_DREG, reg(slot));
          writer_.u32(NFTA_HASH_LEN, static_cast<std::uint32_t>(address_size()));
          writer_.u32(NFTA_HASH_MODULUS, modulus);
          writer_.u32(NFTA_HASH_SEED, hash_seed);
          writer_.u32(NFTA_HASH_TYPE, NFT_HASH_JENKINS);
        });
      } else {
        expression("numgen", [&] {
          writer_.u32(NFTA_NG_DREG, reg(slot));
          writer_.u32(NFTA_NG_MODULUS, modulus);
          writer_.u32(NFTA_NG_TYPE, NFT_NG_INCREMENTAL);
          writer_.u32(NFTA_NG_OFFSET, 0);
        });
      }
      look_up(slot_map(how.slot_class), 0, reg(0));
      set_ct_mark(0);
      go(then);
    });
    rule(chain_name, [&] { go("miss"); });
  }

  /// A TCP connection that is not known any more, as its server failed, is reset here. Another
  /// server would mostly do so, but not where an older connection by the same port is left: its
  /// answers do not fit, and the client would hang.
  void end_what_is_under_way(std::string_view chain_name) {
    rule(chain_name, [&] {
      only_under_way();
      go("reject");
    });
  }

  void pick_chains() {
    for (const auto& how : all_kinds()) {
      const std::string name = pick_chain(how);
      if (how.as == As::reject) continue;
      if (how.as != As::sticky) {
        if (how.as == As::round_robin) end_what_is_under_way(name);
        pick_slot(name, how, "send");
        continue;
      }
      rule(name, [&] {
        load_source(0);
        load_vip(address_words());
        look_up("sticky", 0, reg(0));
        set_ct_mark(0);
      });
      rule(name, [&] {
        load_ct(NFT_CT_MARK, 0);
        look_up("live", 0);
        go("known");
      });
      end_what_is_under_way(name);
      pick_slot(name, how, "keep");
    }
  }

  void rules() {
    rule("miss", [&] {
      expression("objref", [&] {
        writer_.u32(NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
        writer_.text(NFTA_OBJREF_IMM_NAME, "miss");
      });
      end_with(NF_DROP);
    });
    rule("send", [&] {
      load_ct(NFT_CT_MARK, 0);
      look_up("be", 0, reg(0));
      expression("nat", [&] {
        writer_.u32(NFTA_NAT_TYPE, NFT_NAT_DNAT);
        writer_.u32(NFTA_NAT_FAMILY, family_);
        writer_.u32(NFTA_NAT_REG_ADDR_MIN, reg(0));
        writer_.u32(NFTA_NAT_REG_PROTO_MIN, reg(address_words()));
        writer_.u32(NFTA_NAT_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
      });
    });
    rule("send", [&] { go("miss"); });
    // An entry that exists keeps its server when it is added again: it has to go first.
    change_sticky("keep", NFT_DYNSET_OP_DELETE);
    change_sticky("keep", NFT_DYNSET_OP_ADD);
    rule("keep", [&] { go("send"); });
    change_sticky("known", NFT_DYNSET_OP_UPDATE);
    rule("known", [&] { go("send"); });
    rule("reject", [&] {
      only_tcp();
      reject(NFT_REJECT_TCP_RST, 0);
    });
    constexpr std::uint8_t port_unreachable_v4 = 3;
    constexpr std::uint8_t port_unreachable_v6 = 4;
    rule("reject",
         [&] { reject(NFT_REJECT_ICMP_UNREACH, v6_ ? port_unreachable_v6 : port_unreachable_v4); });
    pick_chains();
    rule("pick", [&] {
      load_ct(NFT_CT_MARK, 0);
      look_up("kind", 0, NFT_REG_VERDICT);
    });
    rule("pick", [&] { go("miss"); });
    hooks();
  }

  void hooks() {
    hook("post", "nat", NF_INET_POST_ROUTING, source_nat_priority);
    rule("post", [&] {
      load_ct(NFT_CT_MARK, 0);
      bits(0, core::mark_base_mask, 0);
      compare(0, NFT_CMP_NEQ, core::mark_base);
      end_with(NFT_RETURN);
    });
    rule("post", [&] {
      load_ct(NFT_CT_STATUS, 0);
      bits(0, IPS_DST_NAT, 0);
      compare(0, NFT_CMP_EQ, 0);
      end_with(NFT_RETURN);
    });
    rule("post", [&] {
      load_ct(NFT_CT_MARK, 0);
      bits(0, core::mark_masquerade, 0);
      compare(0, NFT_CMP_EQ, core::mark_masquerade);
      expression("masq", [] {});
    });
    rule("post", [&] {
      load_source(0);
      look_up("hairpin", 0);
      load_destination(0);
      look_up("hairpin", 0);
      expression("masq", [] {});
    });
    if (options_.forward_mark != 0) {
      hook("forward", "filter", NF_INET_FORWARD, forward_priority);
      rule("forward", [&] {
        ours();
        load_meta(NFT_META_MARK, 0);
        bits(0, ~options_.forward_mark, options_.forward_mark);
        expression("meta", [&] {
          writer_.u32(NFTA_META_KEY, NFT_META_MARK);
          writer_.u32(NFTA_META_SREG, reg(0));
        });
      });
    }
    if (options_.count_traffic) {
      hook("count", "filter", NF_INET_POST_ROUTING, count_priority);
      rule("count", [&] {
        ours();
        load_ct(NFT_CT_MARK, 0);
        look_up("traffic", 0);
      });
    }
    for (const auto& [name, number] :
         {std::pair{"out", NF_INET_LOCAL_OUT}, std::pair{"pre", NF_INET_PRE_ROUTING}}) {
      hook(name, "nat", static_cast<std::uint32_t>(number), nat_priority);
      rule(name, [&] {
        load_vip(0);
        look_up("vip", 0, reg(0));
        set_ct_mark(0);
        go("pick");
      });
    }
  }

  const NatOptions& options_;
  std::uint32_t set_id_ = 0;
};

}  // namespace

std::uint32_t nat_kind(const core::SetSpread::How& how) {
  if (how.as == As::reject) return 1;
  return static_cast<std::uint32_t>(2 + index_of(how.slot_class) * 3 +
                                    static_cast<std::size_t>(how.as));
}

std::optional<core::SetSpread::How> nat_how(std::uint32_t kind) {
  for (const auto& how : all_kinds()) {
    if (nat_kind(how) == kind) return how;
  }
  return std::nullopt;
}

std::string_view slot_map(SlotClass slot_class) {
  switch (slot_class) {
    case SlotClass::small: return "slot61";
    case SlotClass::medium: return "slot307";
    case SlotClass::large: return "slot1009";
  }
  return "slot61";
}

std::vector<std::uint8_t> nat_families(const NatOptions& options) {
  std::vector<std::uint8_t> all{AF_INET};
  if (options.ipv6) all.push_back(AF_INET6);
  return all;
}

std::string nat_layout(const NatOptions& options) {
  return std::format("layout{}_{}_{:x}", layout_version, options.count_traffic ? 1 : 0,
                     options.forward_mark);
}

void write_nat_removal(NetlinkWriter& writer, const NatOptions& options) {
  for (const std::uint8_t family : nat_families(options)) {
    Family table{writer, options, family};
    table.table();  // so that there is one to delete
    table.drop_table();
  }
}

void write_nat_rules(NetlinkWriter& writer, const NatOptions& options,
                     core::Duration sticky_timeout) {
  for (const std::uint8_t family : nat_families(options)) {
    Family table{writer, options, family};
    table.table();
    table.contents(sticky_timeout);
  }
}

NatShape nat_shape(const NatOptions& options) {
  NetlinkWriter unused;
  return Family{unused, options, AF_INET}.shape();
}

}  // namespace sentinel::io
