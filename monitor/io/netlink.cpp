#include "io/netlink.hpp"

#include <arpa/inet.h>
#include <endian.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace sentinel::io {
namespace {

constexpr std::size_t input_size = 64 * 1024;  // the kernel sends 32 KiB at once at most
constexpr int receive_space = 4 * 1024 * 1024;
constexpr std::size_t first_send_space = 1024 * 1024;
constexpr std::size_t largest_send_space = 512UL * 1024 * 1024;

Error error(std::string what, int code) {
  return {what + ": " + std::generic_category().message(code), code};
}

std::size_t aligned(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

const nlmsghdr* header(const std::byte* at) { return reinterpret_cast<const nlmsghdr*>(at); }

/// The attributes in a message's payload from `offset` on, or in a nest.
void walk(std::span<const std::byte> bytes, const std::function<void(const nlattr&)>& each) {
  while (bytes.size() >= sizeof(nlattr)) {
    const auto* attribute = reinterpret_cast<const nlattr*>(bytes.data());
    if (attribute->nla_len < sizeof(nlattr) || attribute->nla_len > bytes.size()) return;
    each(*attribute);
    bytes = bytes.subspan(std::min(aligned(attribute->nla_len), bytes.size()));
  }
}

std::span<const std::byte> payload_of(const nlmsghdr& message, std::size_t offset) {
  const std::span<const std::byte> whole{
      static_cast<const std::byte*>(mnl_nlmsg_get_payload(&message)),
      mnl_nlmsg_get_payload_len(&message)};
  return whole.size() < aligned(offset) ? std::span<const std::byte>{}
                                        : whole.subspan(aligned(offset));
}

/// The kernel's own words (NLMSGERR_ATTR_MSG) behind an error, where it has any.
std::string kernel_words(const nlmsghdr& message) {
  if ((message.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  std::size_t offset = sizeof(nlmsgerr);
  const auto* payload = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message));
  if ((message.nlmsg_flags & NLM_F_CAPPED) == 0) {
    if (payload->msg.nlmsg_len < sizeof(nlmsghdr)) return {};
    offset += payload->msg.nlmsg_len - sizeof(nlmsghdr);
  }
  std::string found;
  walk(payload_of(message, offset), [&](const nlattr& attribute) {
    if (mnl_attr_get_type(&attribute) == NLMSGERR_ATTR_MSG) found = text(&attribute);
  });
  return found;
}

void note(Attributes& found, const nlattr* attribute) {
  const std::uint16_t type = mnl_attr_get_type(attribute);
  if (type < found.by_type.size()) found.by_type[type] = attribute;
}

}  // namespace

void NetlinkWriter::clear() {
  buffer_.clear();
  current_.reset();
  messages_ = 0;
}

void NetlinkWriter::append(const void* value, std::size_t size) {
  const std::size_t before = buffer_.size();
  buffer_.resize(before + aligned(size));
  if (size > 0) std::memcpy(at(before), value, size);
}

void NetlinkWriter::end_message() {
  if (!current_) return;
  const auto size = static_cast<std::uint32_t>(buffer_.size() - *current_);
  std::memcpy(at(*current_) + offsetof(nlmsghdr, nlmsg_len), &size, sizeof size);
  current_.reset();
}

void NetlinkWriter::message(std::uint16_t type, std::uint16_t flags, std::uint8_t family,
                            std::uint16_t resource) {
  end_message();
  current_ = buffer_.size();
  ++messages_;
  nlmsghdr head{};
  head.nlmsg_type = type;
  head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  append(&head, sizeof head);
  nfgenmsg extra{};
  extra.nfgen_family = family;
  extra.version = NFNETLINK_V0;
  extra.res_id = htons(resource);
  append(&extra, sizeof extra);
}

void NetlinkWriter::bytes(std::uint16_t attribute, std::span<const std::byte> content) {
  nlattr head{};
  head.nla_len = static_cast<std::uint16_t>(sizeof head + content.size());
  head.nla_type = attribute;
  append(&head, sizeof head);
  append(content.data(), content.size());
}

void NetlinkWriter::text(std::uint16_t attribute, std::string_view content) {
  nlattr head{};
  head.nla_len = static_cast<std::uint16_t>(sizeof head + content.size() + 1);
  head.nla_type = attribute;
  append(&head, sizeof head);
  const std::size_t before = buffer_.size();
  buffer_.resize(before + aligned(content.size() + 1));
  std::ranges::copy(std::as_bytes(std::span{content}), at(before));
}

void NetlinkWriter::u8(std::uint16_t attribute, std::uint8_t content) {
  bytes(attribute, std::as_bytes(std::span{&content, 1}));
}

void NetlinkWriter::u32(std::uint16_t attribute, std::uint32_t content) {
  const std::uint32_t swapped = htobe32(content);
  bytes(attribute, std::as_bytes(std::span{&swapped, 1}));
}

void NetlinkWriter::u64(std::uint16_t attribute, std::uint64_t content) {
  const std::uint64_t swapped = htobe64(content);
  bytes(attribute, std::as_bytes(std::span{&swapped, 1}));
}

std::size_t NetlinkWriter::open(std::uint16_t attribute) {
  const std::size_t nest = buffer_.size();
  nlattr head{};
  head.nla_type = static_cast<std::uint16_t>(attribute | NLA_F_NESTED);
  append(&head, sizeof head);
  return nest;
}

void NetlinkWriter::close(std::size_t nest) {
  const auto size = static_cast<std::uint16_t>(buffer_.size() - nest);
  std::memcpy(at(nest) + offsetof(nlattr, nla_len), &size, sizeof size);
}

void NetlinkWriter::begin_transaction() {
  message(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

void NetlinkWriter::end_transaction() {
  message(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

std::span<std::byte> NetlinkWriter::data() {
  end_message();
  return buffer_;
}

Attributes attributes(const nlmsghdr& message) {
  Attributes found;
  walk(payload_of(message, sizeof(nfgenmsg)),
       [&](const nlattr& attribute) { note(found, &attribute); });
  return found;
}

void each_attribute(const nlattr* nest, const std::function<void(const nlattr&)>& each) {
  walk(value(nest), each);
}

Attributes attributes(const nlattr* nest) {
  Attributes found;
  each_attribute(nest, [&](const nlattr& attribute) { note(found, &attribute); });
  return found;
}

const nlattr* find(const Attributes& all, std::uint16_t type) {
  return type < all.by_type.size() ? all.by_type[type] : nullptr;
}

std::span<const std::byte> value(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  return {static_cast<const std::byte*>(mnl_attr_get_payload(attribute)),
          mnl_attr_get_payload_len(attribute)};
}

std::optional<std::uint32_t> be32(const nlattr* attribute) {
  const auto content = value(attribute);
  std::uint32_t number = 0;
  if (content.size() != sizeof number) return std::nullopt;
  std::memcpy(&number, content.data(), sizeof number);
  return be32toh(number);
}

std::optional<std::uint64_t> be64(const nlattr* attribute) {
  const auto content = value(attribute);
  std::uint64_t number = 0;
  if (content.size() != sizeof number) return std::nullopt;
  std::memcpy(&number, content.data(), sizeof number);
  return be64toh(number);
}

std::string_view text(const nlattr* attribute) {
  const auto content = value(attribute);
  const std::string_view whole{reinterpret_cast<const char*>(content.data()), content.size()};
  return whole.substr(0, whole.find('\0'));
}

std::expected<NetlinkSocket, Error> NetlinkSocket::open() {
  mnl_socket* raw = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (raw == nullptr) return std::unexpected(error("cannot open a netlink socket", errno));
  NetlinkSocket socket{raw};
  if (mnl_socket_bind(raw, 0, MNL_SOCKET_AUTOPID) < 0) {
    return std::unexpected(error("cannot bind a netlink socket", errno));
  }
  // Errors carry the kernel's words, and not a copy of the message that was refused.
  int on = 1;
  mnl_socket_setsockopt(raw, NETLINK_EXT_ACK, &on, sizeof on);
  mnl_socket_setsockopt(raw, NETLINK_CAP_ACK, &on, sizeof on);
  if (setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_space, sizeof receive_space) <
      0) {
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &receive_space, sizeof receive_space);
  }
  socket.input_.resize(input_size);
  return socket;
}

NetlinkSocket::NetlinkSocket(NetlinkSocket&& other) noexcept
    : socket_(std::exchange(other.socket_, nullptr)),
      sequence_(other.sequence_),
      send_space_(other.send_space_),
      input_(std::move(other.input_)) {}

NetlinkSocket& NetlinkSocket::operator=(NetlinkSocket&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(sequence_, other.sequence_);
  std::swap(send_space_, other.send_space_);
  std::swap(input_, other.input_);
  return *this;
}

NetlinkSocket::~NetlinkSocket() {
  if (socket_ != nullptr) mnl_socket_close(socket_);
}

int NetlinkSocket::fd() const { return mnl_socket_get_fd(socket_); }
std::uint32_t NetlinkSocket::port() const { return mnl_socket_get_portid(socket_); }

std::expected<void, Error> NetlinkSocket::send(std::span<std::byte> data) {
  // A message must fit the socket's buffer as a whole, since it is one transaction.
  if (data.size() + 4096 > send_space_) {
    send_space_ = std::max(first_send_space, data.size() * 2);
    if (send_space_ > largest_send_space) {
      send_space_ = 0;
      return std::unexpected(error("the change is too large for one transaction", EMSGSIZE));
    }
    const int wanted = static_cast<int>(send_space_);
    if (setsockopt(fd(), SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) < 0) {
      setsockopt(fd(), SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
    }
  }
  ssize_t sent = 0;
  do {
    sent = mnl_socket_sendto(socket_, data.data(), data.size());
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return std::unexpected(error("netlink", errno));
  if (static_cast<std::size_t>(sent) != data.size()) {
    return std::unexpected(error("netlink took a part of a request", EIO));
  }
  return {};
}

/// Empty: there is nothing (more).
std::expected<std::span<const std::byte>, Error> NetlinkSocket::receive() {
  ssize_t size = 0;
  do {
    size = mnl_socket_recvfrom(socket_, input_.data(), input_.size());
  } while (size < 0 && errno == EINTR);
  if (size >= 0) return std::span<const std::byte>{input_.data(), static_cast<std::size_t>(size)};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return std::span<const std::byte>{};
  return std::unexpected(error("netlink", errno));
}

std::expected<void, NetlinkSocket::Refusal> NetlinkSocket::transact(NetlinkWriter& writer) {
  const std::span<std::byte> data = writer.data();
  // Each message gets a number of its own. The last one before the end of the batch (or the only
  // one) asks for an answer: it comes when all is done.
  const std::uint32_t first = sequence_;
  std::byte* last = nullptr;
  for (std::size_t at = 0; at < data.size();) {
    nlmsghdr head{};
    std::memcpy(&head, data.data() + at, sizeof head);
    head.nlmsg_seq = sequence_++;
    head.nlmsg_flags = static_cast<std::uint16_t>(head.nlmsg_flags & ~NLM_F_ACK);
    std::memcpy(data.data() + at, &head, sizeof head);
    if (head.nlmsg_type != NFNL_MSG_BATCH_END) last = data.data() + at;
    at += aligned(head.nlmsg_len);
  }
  if (last == nullptr) return {};
  nlmsghdr head{};
  std::memcpy(&head, last, sizeof head);
  head.nlmsg_flags |= NLM_F_ACK;
  std::memcpy(last, &head, sizeof head);
  const std::uint32_t answered = head.nlmsg_seq;

  const auto sent = send(data);
  if (!sent) return std::unexpected(Refusal{sent.error()});

  std::optional<Refusal> refusal;
  bool done = false;
  bool lost = false;
  for (;;) {
    const auto input = receive();
    if (!input) {
      // Answers were lost for want of space: many were refused, and the first ones are at hand.
      if (input.error().code != ENOBUFS || std::exchange(lost, true)) {
        return std::unexpected(Refusal{input.error()});
      }
      continue;
    }
    if (input->empty()) break;
    int left = static_cast<int>(input->size());
    for (const nlmsghdr* message = header(input->data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type != NLMSG_ERROR || message->nlmsg_seq - first >= sequence_ - first ||
          mnl_nlmsg_get_payload_len(message) < sizeof(nlmsgerr)) {
        continue;
      }
      const int code = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message))->error;
      if (code == 0) {
        done = done || message->nlmsg_seq == answered;
      } else if (!refusal) {
        Error why{std::generic_category().message(code), code};
        if (const std::string words = kernel_words(*message); !words.empty()) {
          why.text += " (" + words + ")";
        }
        refusal = Refusal{std::move(why), message->nlmsg_seq - first};
      }
    }
  }
  if (refusal) return std::unexpected(*std::move(refusal));
  if (!done) {
    return std::unexpected(Refusal{{"the kernel's answer to the transaction was lost", ENOBUFS}});
  }
  return {};
}

std::expected<bool, Error> NetlinkSocket::dump(NetlinkWriter& request,
                                               const std::function<void(const nlmsghdr&)>& each) {
  const std::span<std::byte> data = request.data();
  nlmsghdr head{};
  if (data.size() < sizeof head) return std::unexpected(error("an empty request", EINVAL));
  std::memcpy(&head, data.data(), sizeof head);
  const std::uint32_t sequence = sequence_++;
  head.nlmsg_seq = sequence;
  std::memcpy(data.data(), &head, sizeof head);
  if (const auto sent = send(data); !sent) return std::unexpected(sent.error());

  bool consistent = true;
  for (;;) {
    const auto input = receive();
    if (!input) return std::unexpected(input.error());
    if (input->empty()) return std::unexpected(error("netlink: the list has no end", EPROTO));
    int left = static_cast<int>(input->size());
    for (const nlmsghdr* message = header(input->data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != sequence) continue;
      if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) consistent = false;
      if (message->nlmsg_type == NLMSG_DONE) return consistent;
      if (message->nlmsg_type == NLMSG_ERROR) {
        if (mnl_nlmsg_get_payload_len(message) < sizeof(nlmsgerr)) continue;
        const int code = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message))->error;
        if (code == 0) return consistent;  // the answer to a request for a single thing
        return std::unexpected(Error{std::generic_category().message(code), code});
      }
      if (message->nlmsg_type >= NLMSG_MIN_TYPE) each(*message);
    }
  }
}

std::expected<void, Error> NetlinkSocket::join(unsigned group) {
  int wanted = static_cast<int>(group);
  if (mnl_socket_setsockopt(socket_, NETLINK_ADD_MEMBERSHIP, &wanted, sizeof wanted) < 0) {
    return std::unexpected(error("cannot listen to the kernel's events", errno));
  }
  return {};
}

void NetlinkSocket::leave(unsigned group) {
  int wanted = static_cast<int>(group);
  mnl_socket_setsockopt(socket_, NETLINK_DROP_MEMBERSHIP, &wanted, sizeof wanted);
}

std::expected<void, Error> NetlinkSocket::ignore(std::uint32_t port) {
  // Loads are converted from network order, while a port is in the host's.
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(nlmsghdr, nlmsg_pid)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  if (setsockopt(fd(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) {
    return std::unexpected(error("cannot filter the kernel's events", errno));
  }
  return {};
}

std::expected<bool, Error> NetlinkSocket::read_events(
    const std::function<void(const nlmsghdr&)>& each) {
  bool whole = true;
  for (;;) {
    const auto input = receive();
    if (!input) {
      if (input.error().code != ENOBUFS) return std::unexpected(input.error());
      whole = false;
      continue;
    }
    if (input->empty()) return whole;
    int left = static_cast<int>(input->size());
    for (const nlmsghdr* message = header(input->data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type >= NLMSG_MIN_TYPE) each(*message);
    }
  }
}

}  // namespace sentinel::io
