#pragma once

// The words of nf_tables rules: each call appends one expression to the rule that is being written.
// Values are kept in registers of 32 bits, counted in words from 0; a concatenation lies in
// successive words. Numbers are in the host's order unless they come out of a packet.

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include <bit>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/nat.hpp"
#include "io/netlink.hpp"

namespace sentinel::io {

constexpr std::uint16_t nft_message(int type) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
}

class RuleWriter {
 public:
  /// The table's name must outlive this.
  RuleWriter(NetlinkWriter& writer, const std::string& table, std::uint8_t family)
      : writer_(writer), table_(table), family_(family), v6_(family == AF_INET6) {}

 protected:
  static constexpr std::size_t scratch = 12;  // clear of the longest key

  static std::uint32_t reg(std::size_t word) {
    return NFT_REG32_00 + static_cast<std::uint32_t>(word);
  }
  std::size_t address_size() const { return v6_ ? 16 : 4; }
  std::size_t address_words() const { return address_size() / 4; }
  void start(int type, std::uint16_t flags) {
    writer_.message(nft_message(type), flags, family_);
    writer_.text(1, table_);  // NFTA_..._TABLE is 1 in every kind of message
  }

  void rule(std::string_view chain_name, const std::function<void()>& expressions) {
    start(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    writer_.text(NFTA_RULE_CHAIN, chain_name);
    const std::size_t nest = writer_.open(NFTA_RULE_EXPRESSIONS);
    expressions();
    writer_.close(nest);
  }

  void expression(std::string_view name, const std::function<void()>& data) {
    const std::size_t element = writer_.open(NFTA_LIST_ELEM);
    writer_.text(NFTA_EXPR_NAME, name);
    const std::size_t nest = writer_.open(NFTA_EXPR_DATA);
    data();
    writer_.close(nest);
    writer_.close(element);
  }

  void verdict(int code, std::string_view to) {
    const std::size_t nest = writer_.open(NFTA_DATA_VERDICT);
    writer_.u32(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code));
    if (!to.empty()) writer_.text(NFTA_VERDICT_CHAIN, to);
    writer_.close(nest);
  }

  void end_with(int code, std::string_view to = {}) {
    expression("immediate", [&] {
      writer_.u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
      const std::size_t nest = writer_.open(NFTA_IMMEDIATE_DATA);
      verdict(code, to);
      writer_.close(nest);
    });
  }
  void go(std::string_view to) { end_with(NFT_GOTO, to); }

  void reject(std::uint32_t type, std::uint8_t code) {
    expression("reject", [&] {
      writer_.u32(NFTA_REJECT_TYPE, type);
      writer_.u8(NFTA_REJECT_ICMP_CODE, code);
    });
  }

  void load_payload(std::uint32_t base, std::size_t offset, std::size_t size, std::size_t word) {
    expression("payload", [&] {
      writer_.u32(NFTA_PAYLOAD_DREG, reg(word));
      writer_.u32(NFTA_PAYLOAD_BASE, base);
      writer_.u32(NFTA_PAYLOAD_OFFSET, static_cast<std::uint32_t>(offset));
      writer_.u32(NFTA_PAYLOAD_LEN, static_cast<std::uint32_t>(size));
    });
  }
  void load_source(std::size_t word) {
    load_payload(NFT_PAYLOAD_NETWORK_HEADER, v6_ ? 8 : 12, address_size(), word);
  }
  void load_destination(std::size_t word) {
    load_payload(NFT_PAYLOAD_NETWORK_HEADER, v6_ ? 24 : 16, address_size(), word);
  }
  /// Address, protocol and port of the virtual service, from `word` on; the word behind them.
  std::size_t load_vip(std::size_t word) {
    load_destination(word);
    word += address_words();
    load_meta(NFT_META_L4PROTO, word);
    load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, word + 1);
    return word + 2;
  }

  void load_meta(std::uint32_t key, std::size_t word) {
    expression("meta", [&] {
      writer_.u32(NFTA_META_DREG, reg(word));
      writer_.u32(NFTA_META_KEY, key);
    });
  }
  void load_ct(std::uint32_t key, std::size_t word) {
    expression("ct", [&] {
      writer_.u32(NFTA_CT_DREG, reg(word));
      writer_.u32(NFTA_CT_KEY, key);
    });
  }
  void set_ct_mark(std::size_t word) {
    expression("ct", [&] {
      writer_.u32(NFTA_CT_KEY, NFT_CT_MARK);
      writer_.u32(NFTA_CT_SREG, reg(word));
    });
  }

  template <typename Number>
  void value(std::uint16_t attribute, Number host_order) {
    const std::size_t nest = writer_.open(attribute);
    writer_.bytes(NFTA_DATA_VALUE, std::as_bytes(std::span{&host_order, 1}));
    writer_.close(nest);
  }
  void bits(std::size_t word, std::uint32_t mask, std::uint32_t flip) {
    expression("bitwise", [&] {
      writer_.u32(NFTA_BITWISE_SREG, reg(word));
      writer_.u32(NFTA_BITWISE_DREG, reg(word));
      writer_.u32(NFTA_BITWISE_LEN, 4);
      value(NFTA_BITWISE_MASK, mask);
      value(NFTA_BITWISE_XOR, flip);
    });
  }
  template <typename Number = std::uint32_t>
  void compare(std::size_t word, std::uint32_t operation, std::type_identity_t<Number> with) {
    expression("cmp", [&] {
      writer_.u32(NFTA_CMP_SREG, reg(word));
      writer_.u32(NFTA_CMP_OP, operation);
      value(NFTA_CMP_DATA, with);
    });
  }

  /// Ends the rule for what is not TCP.
  void only_tcp() {
    load_meta(NFT_META_L4PROTO, 0);
    compare<std::uint8_t>(0, NFT_CMP_EQ, IPPROTO_TCP);
  }
  /// Ends the rule for what opens a TCP connection, and for other protocols.
  void only_under_way() {
    constexpr std::size_t flags_offset = 13;
    constexpr std::uint32_t syn = 0x02;
    only_tcp();
    load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, flags_offset, 1, 0);
    bits(0, std::endian::native == std::endian::little ? syn : syn << 24, 0);
    compare<std::uint8_t>(0, NFT_CMP_EQ, 0);
  }

  /// A look-up that ends the rule where nothing is found; into: where a map's value goes.
  void look_up(std::string_view name, std::size_t word,
               std::optional<std::uint32_t> into = std::nullopt) {
    expression("lookup", [&] {
      writer_.text(NFTA_LOOKUP_SET, name);
      writer_.u32(NFTA_LOOKUP_SREG, reg(word));
      if (into) writer_.u32(NFTA_LOOKUP_DREG, *into);
    });
  }
  /// Ends the rule for connections that are not ours.
  void ours() {
    load_ct(NFT_CT_MARK, 0);
    bits(0, core::mark_base_mask, 0);
    compare(0, NFT_CMP_EQ, core::mark_base);
  }

  NetlinkWriter& writer_;
  const std::string& table_;
  std::uint8_t family_;
  bool v6_;
};

}  // namespace sentinel::io
