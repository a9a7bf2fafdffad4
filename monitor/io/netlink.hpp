#pragma once

// Netfilter's netlink, as far as nf_tables and conntrack need it: a writer of messages, and a
// socket that sends a request or a whole transaction and reads what the kernel says to it.
//
// The kernel handles a request inside send(), so its answers are there when send() returns; nothing
// here waits. A socket belongs to the network namespace in which it was opened.

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/error.hpp"

struct nlmsghdr;
struct nlattr;
struct mnl_socket;

namespace sentinel::io {

/// Messages one after the other in one buffer, which is kept for the next use.
class NetlinkWriter {
 public:
  void clear();
  /// A message of subsystem and type (`NFNL_SUBSYS_... << 8 | type`). It ends where the next
  /// begins.
  void message(std::uint16_t type, std::uint16_t flags, std::uint8_t family,
               std::uint16_t resource = 0);
  void bytes(std::uint16_t attribute, std::span<const std::byte> value);
  void text(std::uint16_t attribute, std::string_view value);  // with a closing 0
  void u8(std::uint16_t attribute, std::uint8_t value);
  void u32(std::uint16_t attribute, std::uint32_t value);  // big endian, as are the next
  void u64(std::uint16_t attribute, std::uint64_t value);

  /// An attribute that holds attributes: everything up to close().
  std::size_t open(std::uint16_t attribute);
  void close(std::size_t nest);
  std::size_t length(std::size_t nest) const { return buffer_.size() - nest; }

  /// Around the messages of one nf_tables transaction.
  void begin_transaction();
  void end_transaction();

  std::span<std::byte> data();  // of complete messages
  std::size_t messages() const { return messages_; }

 private:
  void end_message();
  void append(const void* value, std::size_t size);
  std::byte* at(std::size_t offset) { return buffer_.data() + offset; }

  std::vector<std::byte> buffer_;
  std::optional<std::size_t> current_;  // where the open message begins
  std::size_t messages_ = 0;
};

/// The attributes of a message or of a nest, by type; later ones win, unknown high ones are left
/// out. Lengths are checked by those who read them, below.
struct Attributes {
  std::array<const nlattr*, 40> by_type{};  // more than nf_tables and conntrack have
};
Attributes attributes(const nlmsghdr& message);
Attributes attributes(const nlattr* nest);  // empty for nullptr
void each_attribute(const nlattr* nest, const std::function<void(const nlattr&)>& each);
const nlattr* find(const Attributes&, std::uint16_t type);
std::optional<std::uint32_t> be32(const nlattr*);
std::optional<std::uint64_t> be64(const nlattr*);
std::span<const std::byte> value(const nlattr*);  // empty for nullptr
std::string_view text(const nlattr*);             // up to the closing 0

class NetlinkSocket {
 public:
  /// NETLINK_NETFILTER.
  static std::expected<NetlinkSocket, Error> open();
  NetlinkSocket(NetlinkSocket&& other) noexcept;
  NetlinkSocket& operator=(NetlinkSocket&& other) noexcept;
  ~NetlinkSocket();

  int fd() const;
  std::uint32_t port() const;  // the kernel names us by it in events

  /// All of the writer's messages, which are one transaction or one request: done, or nothing done
  /// and the first refusal. `refused` is the number of the refused message in the writer, counted
  /// from 0.
  struct Refusal {
    Error error;
    std::size_t message = 0;
  };
  std::expected<void, Refusal> transact(NetlinkWriter& writer);

  /// One dump request; `each` sees every message. False: the kernel says that what it showed
  /// changed meanwhile, ask again.
  std::expected<bool, Error> dump(NetlinkWriter& request,
                                  const std::function<void(const nlmsghdr&)>& each);

  /// Events of a multicast group (NFNLGRP_...), without those that `ignored_port` caused.
  std::expected<void, Error> join(unsigned group);
  std::expected<void, Error> ignore(std::uint32_t port);
  void leave(unsigned group);
  /// Reads what is there without waiting. False: events were lost for want of space.
  std::expected<bool, Error> read_events(const std::function<void(const nlmsghdr&)>& each);

 private:
  explicit NetlinkSocket(mnl_socket* socket) : socket_(socket) {}
  std::expected<void, Error> send(std::span<std::byte> data);
  std::expected<std::span<const std::byte>, Error> receive();

  mnl_socket* socket_ = nullptr;
  std::uint32_t sequence_ = 1;
  std::size_t send_space_ = 0;
  std::vector<std::byte> input_;
};

}  // namespace sentinel::io
