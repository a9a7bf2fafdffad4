#pragma once

// Elements of the NAT table's sets and maps (io/nat_rules) as bytes: changes to messages, and what
// the kernel lists back to values.

#include <cstdint>
#include <expected>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/nat.hpp"
#include "io/nat_rules.hpp"
#include "io/netlink.hpp"

namespace sentinel::io {

/// Key and data of an element; registers are filled up to four bytes for each part. Numbers of our
/// own are in the host's order, addresses and ports in the network's.
struct ElementBytes {
  std::array<std::byte, 40> bytes{};
  std::size_t size = 0;
  std::span<const std::byte> view() const { return {bytes.data(), size}; }
};
ElementBytes vip_bytes(const core::VipKey& vip);
ElementBytes slot_bytes(const core::VipKey& vip, std::uint16_t slot);
ElementBytes server_bytes(const core::NatServer& server);
ElementBytes number_bytes(std::uint32_t number);

// The reverse; nullopt: no such thing.
std::optional<core::VipKey> read_vip(std::span<const std::byte> bytes, core::Family family);
std::optional<core::NatServer> read_server(std::span<const std::byte> bytes, core::Family family);
std::optional<std::uint32_t> read_number(std::span<const std::byte> bytes);  // of exactly 4 bytes

/// Elements of one set, in as few messages as they fit in.
class ElementWriter {
 public:
  /// `type`: NFT_MSG_NEWSETELEM, for which an element that exists already is refused, or
  /// NFT_MSG_DELSETELEM.
  ElementWriter(NetlinkWriter& writer, const NatOptions& options, std::uint8_t family,
                std::string_view set, int type);
  ~ElementWriter();
  ElementWriter(const ElementWriter&) = delete;
  ElementWriter& operator=(const ElementWriter&) = delete;

  void add(std::span<const std::byte> key, std::span<const std::byte> data = {},
           std::uint32_t flags = 0);

 private:
  void finish();

  NetlinkWriter& writer_;
  const NatOptions& options_;
  std::uint8_t family_;
  std::string_view set_;
  int type_;
  std::optional<std::size_t> list_;
};

/// An element without data, within a list of elements.
void write_key(NetlinkWriter& writer, std::span<const std::byte> key);

/// All of a table's elements, into tables without any.
void write_nat_elements(NetlinkWriter& writer, const NatOptions& options,
                        const core::NatTable& table);

/// The changes as messages. `hairpin`: all prefixes there are after them; the merged set is written
/// anew when one of them changed. A key may occur once in a run of changes of its kind.
void write_nat_changes(NetlinkWriter& writer, const NatOptions& options,
                       std::span<const core::NatChange> changes,
                       const std::set<core::IpPrefix>& hairpin);

/// An element as the kernel lists it; views into its message.
struct ListedElement {
  std::span<const std::byte> key;
  std::span<const std::byte> data;
  std::uint64_t packets = 0;  // of its counter, where it has one
  std::uint64_t bytes = 0;
};
std::vector<ListedElement> read_elements(const nlmsghdr& message);

}  // namespace sentinel::io
