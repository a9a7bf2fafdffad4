#include "io/conntrack.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#include <cerrno>
#include <format>

#include "io/runtime.hpp"

namespace sentinel::io {
namespace {

constexpr int attempts = 5;  // at a list that was broken off

constexpr std::uint16_t conntrack_message(int type) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type);
}

void put_block(NetlinkWriter& writer, core::MarkBlock block) {
  writer.u32(CTA_MARK, block.value);
  writer.u32(CTA_MARK_MASK, block.mask);
}

bool is_closing(const Attributes& parts) {
  const Attributes tcp =
      attributes(find(attributes(find(parts, CTA_PROTOINFO)), CTA_PROTOINFO_TCP));
  const auto state = value(find(tcp, CTA_PROTOINFO_TCP_STATE));
  if (state.empty()) return false;
  const auto number = std::to_integer<int>(state.front());
  return number == TCP_CONNTRACK_TIME_WAIT || number == TCP_CONNTRACK_CLOSE;
}

Error failed(std::string_view what, const Error& error) {
  return {std::format("cannot {}: {}", what, error.text), error.code};
}

}  // namespace

std::expected<Conntrack, Error> Conntrack::open() {
  auto socket = NetlinkSocket::open();
  if (!socket) return std::unexpected(socket.error());
  return Conntrack{*std::move(socket)};
}

std::expected<Conntrack::Flushed, Error> Conntrack::flush(core::MarkBlock block) {
  // A mask of 0 would match, and forget, the connections of everybody.
  if ((block.mask & core::mark_base_mask) != core::mark_base_mask ||
      (block.value & core::mark_base_mask) != core::mark_base || (block.value & ~block.mask) != 0) {
    return std::unexpected(Error{"the marks to flush are not ours", EINVAL});
  }
  const auto before = count(block);
  if (!before) return std::unexpected(before.error());
  Flushed done{.flows = before->open + before->closing};
  const core::Time start = now();
  NetlinkWriter request;
  // No tuple: all that match. The family of the message says nothing in this version of it.
  request.message(conntrack_message(IPCTNL_MSG_CT_DELETE), 0, AF_UNSPEC);
  put_block(request, block);
  const auto flushed = socket_.transact(request);
  if (!flushed) return std::unexpected(failed("flush connections", flushed.error().error));
  done.took = now() - start;
  return done;
}

std::expected<std::map<core::Mark, FlowCount>, Error> Conntrack::counts(core::MarkBlock block) {
  NetlinkWriter request;
  Error last{"the list was broken off", EINTR};
  for (int attempt = 0; attempt < attempts; ++attempt) {
    std::map<core::Mark, FlowCount> all;
    request.clear();
    request.message(conntrack_message(IPCTNL_MSG_CT_GET), NLM_F_DUMP, AF_UNSPEC);
    put_block(request, block);
    const auto read = socket_.dump(request, [&](const nlmsghdr& message) {
      const Attributes parts = attributes(message);
      const core::Mark mark = be32(find(parts, CTA_MARK)).value_or(0);
      if ((mark & block.mask) != block.value) return;
      ++(is_closing(parts) ? all[mark].closing : all[mark].open);
    });
    if (read) return all;
    last = read.error();
    if (last.code != EINTR && last.code != ENOBUFS) break;
  }
  return std::unexpected(failed("count connections", last));
}

std::expected<FlowCount, Error> Conntrack::count(core::MarkBlock block) {
  const auto all = counts(block);
  if (!all) return std::unexpected(all.error());
  FlowCount sum;
  for (const auto& [mark, one] : *all) {
    sum.open += one.open;
    sum.closing += one.closing;
  }
  return sum;
}

std::expected<TableUse, Error> Conntrack::use() {
  NetlinkWriter request;
  request.message(conntrack_message(IPCTNL_MSG_CT_GET_STATS), NLM_F_ACK, AF_UNSPEC);
  TableUse use;
  const auto read = socket_.dump(request, [&](const nlmsghdr& message) {
    const Attributes parts = attributes(message);
    use.used = be32(find(parts, CTA_STATS_GLOBAL_ENTRIES)).value_or(0);
    use.maximum = be32(find(parts, CTA_STATS_GLOBAL_MAX_ENTRIES)).value_or(0);
  });
  if (!read) return std::unexpected(failed("read the use of the connection table", read.error()));
  return use;
}

}  // namespace sentinel::io
