#include "io/nat_watch.hpp"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <format>
#include <optional>
#include <utility>

#include "io/netlink.hpp"

namespace sentinel::io {
namespace {

namespace asio = boost::asio;

class Watch final : public NatWatch, public std::enable_shared_from_this<Watch> {
 public:
  Watch(asio::io_context& context, NetlinkSocket socket, std::string table,
        std::function<void(std::string)> on_foreign, std::function<bool()> intact)
      : socket_(std::move(socket)),
        descriptor_(context, socket_.fd()),
        table_(std::move(table)),
        on_foreign_(std::move(on_foreign)),
        intact_(std::move(intact)) {}
  ~Watch() override { descriptor_.release(); }  // the socket closes what is its own
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void wait() {
    descriptor_.async_wait(asio::posix::descriptor_base::wait_read,
                           [weak = weak_from_this()](const boost::system::error_code& error) {
                             const auto self = weak.lock();
                             if (!self || error) return;
                             self->wait();
                             self->read();
                           });
  }

  void pause() override { socket_.leave(NFNLGRP_NFTABLES); }

  void resume() override {
    if (!socket_.join(NFNLGRP_NFTABLES)) look();
  }

  void look() override {
    asio::post(descriptor_.get_executor(), [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->check();
    });
  }

 private:
  void read() {
    std::string said;
    const auto whole = socket_.read_events([&](const nlmsghdr& message) {
      if (message.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) return;
      see(message, said);
    });
    if (!said.empty()) return on_foreign_(std::move(said));
    if (!whole || !*whole) check();
  }

  void check() {
    if (!intact_()) on_foreign_("the NAT table was changed or deleted by somebody else");
  }

  void see(const nlmsghdr& message, std::string& said) {
    if (message.nlmsg_len < sizeof(nlmsghdr) + sizeof(nfgenmsg)) return;
    const Attributes parts = attributes(message);
    const int type = message.nlmsg_type & 0xff;
    if (type == NFT_MSG_NEWGEN) {  // closes a transaction, and tells whose it was
      if (deleted_ || changed_) {
        said = std::format("the NAT table was {} by {} (process {})",
                           deleted_ ? "deleted" : "changed", text(find(parts, NFTA_GEN_PROC_NAME)),
                           be32(find(parts, NFTA_GEN_PROC_PID)).value_or(0));
      }
      deleted_ = changed_ = false;
      return;
    }
    const auto* extra = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message));
    if (extra->nfgen_family != AF_INET && extra->nfgen_family != AF_INET6) return;
    if (text(find(parts, 1)) != table_) return;  // NFTA_..._TABLE is 1 in every kind of message
    changed_ = true;
    deleted_ = deleted_ || type == NFT_MSG_DELTABLE;
  }

  NetlinkSocket socket_;
  asio::posix::stream_descriptor descriptor_;
  std::string table_;
  std::function<void(std::string)> on_foreign_;
  std::function<bool()> intact_;
  bool deleted_ = false;
  bool changed_ = false;
};

}  // namespace

std::expected<std::shared_ptr<NatWatch>, Error> NatWatch::start(
    asio::io_context& context, std::string table, std::uint32_t own_port,
    std::function<void(std::string)> on_foreign, std::function<bool()> intact) {
  auto socket = NetlinkSocket::open();
  if (!socket) return std::unexpected(socket.error());
  if (auto done = socket->ignore(own_port); !done) return std::unexpected(done.error());
  if (auto done = socket->join(NFNLGRP_NFTABLES); !done) return std::unexpected(done.error());
  auto watch = std::make_shared<Watch>(context, *std::move(socket), std::move(table),
                                       std::move(on_foreign), std::move(intact));
  watch->wait();
  return watch;
}

}  // namespace sentinel::io
