#include "io/resolver.hpp"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstring>
#include <map>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "io/runtime.hpp"
#include "protocol/escape.hpp"

namespace sentinel::io {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t max_addresses = 8;
constexpr core::Duration shortest_ttl = 1s;
constexpr core::Duration longest_ttl = 60s;
constexpr core::Duration longest_engine_ttl = 5s;
constexpr core::Duration failure_ttl = 1s;
constexpr core::Duration file_check = 5s;  // between looks at resolv.conf
constexpr int try_ms = 1000;
constexpr int longest_try_ms = 2000;
constexpr int tries = 3;
constexpr int queries_per_port = 64;  // then another source port is used
constexpr std::string_view engine_server = "127.0.0.11";

bool forbidden_v4(const std::uint8_t* bytes) { return bytes[0] == 169 && bytes[1] == 254; }

std::string sentence(std::string_view name, int status) {
  const auto shown = protocol::one_line(name, 100);
  switch (status) {
    case ARES_ENOTFOUND: return "the name " + shown + " does not exist";
    case ARES_ENODATA: return "the name " + shown + " has no address";
    case ARES_EBADNAME:
    case ARES_EFORMERR: return "the name " + shown + " cannot be looked up";
    case ARES_ETIMEOUT:
      return "the name " + shown + " was not resolved: the DNS server does not answer";
    case ARES_ECONNREFUSED:
      return "the name " + shown + " was not resolved: no DNS server can be reached";
    case ARES_ESERVFAIL:
      return "the name " + shown + " was not resolved: the DNS server failed (SERVFAIL)";
    case ARES_EREFUSED: return "the name " + shown + " was not resolved: the DNS server refuses";
    default:
      return "the name " + shown +
             " was not resolved: " + protocol::one_line(ares_strerror(status));
  }
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

/// One set of servers. Lives as long as its queries.
class Channel : public std::enable_shared_from_this<Channel> {
 public:
  Channel(asio::io_context& context, const ResolverOptions& options)
      : context_(context), alarm_(context, [this] { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }) {
    ares_options wanted{};
    wanted.timeout = try_ms;
    wanted.maxtimeout = longest_try_ms;
    wanted.tries = tries;
    wanted.udp_max_queries = queries_per_port;
    wanted.qcache_max_ttl = 0;  // answers are kept here, where they can be forgotten
    wanted.sock_state_cb = [](void* self, ares_socket_t fd, int read, int write) {
      static_cast<Channel*>(self)->on_state(fd, read != 0, write != 0);
    };
    wanted.sock_state_cb_data = this;
    std::string resolv_conf = options.resolv_conf;
    std::string hosts = options.hosts;
    wanted.resolvconf_path = resolv_conf.data();
    wanted.hosts_path = hosts.data();
    const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_MAXTIMEOUTMS | ARES_OPT_TRIES |
                     ARES_OPT_UDP_MAX_QUERIES | ARES_OPT_QUERY_CACHE | ARES_OPT_SOCK_STATE_CB |
                     ARES_OPT_RESOLVCONF | ARES_OPT_HOSTS_FILE;
    if (const int status = ares_init_options(&channel_, &wanted, mask); status != ARES_SUCCESS)
      throw std::runtime_error(std::string{"c-ares: "} + ares_strerror(status));
    if (!options.servers.empty()) ares_set_servers_ports_csv(channel_, options.servers.c_str());
    if (char* servers = ares_get_servers_csv(channel_)) {
      of_engine_ = std::string_view{servers}.starts_with(engine_server);
      ares_free_string(servers);
    }
  }
  ~Channel() {
    alarm_.set(std::nullopt);
    ares_destroy(channel_);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  bool of_engine() const { return of_engine_; }

  void ask(const std::string& name, ares_addrinfo_callback callback, void* argument) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, callback, argument);
    rearm();
  }

 private:
  struct Socket {
    explicit Socket(asio::io_context& context, int fd) : descriptor(context, fd) {}
    asio::posix::stream_descriptor descriptor;
    bool read = false;
    bool write = false;
    bool reading = false;  // a wait is under way
    bool writing = false;
  };

  void on_state(int fd, bool read, bool write) {
    auto known = sockets_.find(fd);
    if (!read && !write) {
      if (known == sockets_.end()) return;
      known->second->descriptor.release();  // c-ares closes it
      sockets_.erase(known);
      return;
    }
    if (known == sockets_.end())
      known = sockets_.emplace(fd, std::make_shared<Socket>(context_, fd)).first;
    known->second->read = read;
    known->second->write = write;
    wait(known->second);
  }

  void wait(const std::shared_ptr<Socket>& socket) {
    using asio::posix::stream_descriptor;
    const auto arm = [&](bool wanted, bool& under_way, bool read) {
      if (!wanted || under_way) return;
      under_way = true;
      socket->descriptor.async_wait(
          read ? stream_descriptor::wait_read : stream_descriptor::wait_write,
          [weak = weak_from_this(), socket, read](const boost::system::error_code& error) {
            (read ? socket->reading : socket->writing) = false;
            const auto self = weak.lock();
            if (error || !self || !socket->descriptor.is_open()) return;
            const int fd = socket->descriptor.native_handle();
            self->process(read ? fd : ARES_SOCKET_BAD, read ? ARES_SOCKET_BAD : fd);
            if (socket->descriptor.is_open()) self->wait(socket);
          });
    };
    arm(socket->read, socket->reading, true);
    arm(socket->write, socket->writing, false);
  }

  void process(ares_socket_t readable, ares_socket_t writable) {
    ares_process_fd(channel_, readable, writable);
    rearm();
  }

  void rearm() {
    timeval left{};
    const timeval* next = ares_timeout(channel_, nullptr, &left);
    if (next == nullptr) {
      alarm_.set(std::nullopt);
    } else {
      // A millisecond more: c-ares counts in whole ones.
      alarm_.set(now() + std::chrono::seconds{next->tv_sec} +
                 std::chrono::microseconds{next->tv_usec} + 1ms);
    }
  }

  asio::io_context& context_;
  Alarm alarm_;
  ares_channel_t* channel_ = nullptr;
  bool of_engine_ = false;
  std::map<int, std::shared_ptr<Socket>> sockets_;
};

}  // namespace

bool forbidden_address(const core::IpAddress& address) {
  const auto& b = address.bytes;
  if (address.family == core::Family::v4) return forbidden_v4(b.data());
  static const auto mapped = *core::IpPrefix::parse("::ffff:0:0/96");
  static const auto compatible = *core::IpPrefix::parse("::/96");
  static const auto nat64 = *core::IpPrefix::parse("64:ff9b::/96");
  static const auto link_local = *core::IpPrefix::parse("fe80::/10");
  static const auto metadata = *core::IpAddress::parse("fd00:ec2::254");
  if (mapped.contains(address) || compatible.contains(address) || nat64.contains(address))
    return forbidden_v4(b.data() + 12);
  return link_local.contains(address) || address == metadata;
}

class Resolver::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, ResolverOptions options)
      : context_(context), options_(std::move(options)) {
    // Counted by c-ares: later ones do nothing.
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
      throw std::runtime_error("c-ares cannot be initialised");
  }

  const Answer* known(std::string_view name) {
    if (const auto address = core::IpAddress::parse(name)) {
      literal_ = Addresses{*address};
      return &literal_;
    }
    const auto entry = cache_.find(name);
    if (entry == cache_.end() || entry->second.until <= now()) return nullptr;
    ++stats_.cached;
    return &entry->second.answer;
  }

  Ticket resolve(std::string_view name, Handler handler) {
    const auto ticket = ++last_ticket_;
    waiting_.emplace(ticket, std::move(handler));
    auto query = queries_.find(name);
    if (query != queries_.end()) {
      query->second->tickets.push_back(ticket);
      return ticket;
    }
    query = queries_.emplace(std::string{name}, std::make_unique<Query>()).first;
    query->second->owner = this;
    query->second->name = std::string{name};
    query->second->tickets.push_back(ticket);
    query->second->channel = channel();
    ++stats_.queries;
    // The answer may come from inside: the query must be complete by now.
    const auto used = query->second->channel;
    used->ask(query->first, &Impl::on_answer, query->second.get());
    return ticket;
  }

  void cancel(Ticket ticket) { waiting_.erase(ticket); }

  void forget(std::string_view name) {
    if (const auto entry = cache_.find(name); entry != cache_.end()) cache_.erase(entry);
  }

  void close() {
    closed_ = true;
    waiting_.clear();
    channel_.reset();
    for (auto& [name, query] : queries_) query->channel.reset();
    queries_.clear();
  }

  ResolverStats stats() const {
    auto result = stats_;
    result.names = cache_.size();
    return result;
  }

 private:
  struct Query {
    Impl* owner = nullptr;
    std::string name;
    std::shared_ptr<Channel> channel;
    std::vector<Ticket> tickets;
  };
  struct Entry {
    Answer answer;
    core::Time until;
  };

  static void on_answer(void* argument, int status, int /*timeouts*/, ares_addrinfo* found) {
    auto& query = *static_cast<Query*>(argument);
    const std::unique_ptr<ares_addrinfo, void (*)(ares_addrinfo*)> owned(found, ares_freeaddrinfo);
    if (status == ARES_EDESTRUCTION || query.owner->closed_) return;
    Answer answer;
    core::Duration ttl = failure_ttl;
    if (status == ARES_SUCCESS) {
      ttl = query.channel->of_engine() ? longest_engine_ttl : longest_ttl;
      answer = read(query.name, *found, ttl);
    } else {
      answer = std::unexpected(Error{sentence(query.name, status)});
    }
    // The channel must not go while c-ares is on the stack, nor may handlers run there.
    asio::post(query.owner->context_,
               [self = query.owner->shared_from_this(), channel = query.channel, name = query.name,
                answer = std::move(answer), ttl]() mutable {
                 if (!self->closed_) self->complete(name, std::move(answer), ttl);
               });
  }

  static Answer read(std::string_view name, const ares_addrinfo& found, core::Duration& ttl) {
    Addresses addresses;
    bool refused = false;
    for (const auto* node = found.nodes; node != nullptr; node = node->ai_next) {
      core::IpAddress address;
      if (node->ai_family == AF_INET) {
        sockaddr_in raw{};
        std::memcpy(&raw, node->ai_addr, sizeof raw);
        std::memcpy(address.bytes.data(), &raw.sin_addr, 4);
      } else if (node->ai_family == AF_INET6) {
        sockaddr_in6 raw{};
        std::memcpy(&raw, node->ai_addr, sizeof raw);
        address.family = core::Family::v6;
        std::memcpy(address.bytes.data(), &raw.sin6_addr, 16);
      } else {
        continue;
      }
      ttl = std::min<core::Duration>(ttl, std::chrono::seconds{std::max(node->ai_ttl, 0)});
      if (forbidden_address(address)) {
        refused = true;
      } else if (addresses.size() < max_addresses && !std::ranges::contains(addresses, address)) {
        addresses.push_back(address);
      }
    }
    ttl = std::max(ttl, shortest_ttl);
    if (!addresses.empty()) return addresses;
    const auto shown = protocol::one_line(name, 100);
    return std::unexpected(
        Error{refused ? "the name " + shown + " leads to link-local or metadata addresses only"
                      : "the name " + shown + " has no address"});
  }

  void complete(const std::string& name, Answer answer, core::Duration ttl) {
    const auto query = queries_.find(name);
    if (query == queries_.end()) return;
    const auto done = std::move(query->second);
    queries_.erase(query);
    if (!answer) ++stats_.failed;
    make_room();
    cache_.insert_or_assign(name, Entry{.answer = answer, .until = now() + ttl});
    for (const Ticket ticket : done->tickets) {
      const auto waiting = waiting_.find(ticket);
      if (waiting == waiting_.end()) continue;
      const auto handler = std::move(waiting->second);
      waiting_.erase(waiting);
      handler(answer);
      if (closed_) return;
    }
  }

  void make_room() {
    if (cache_.size() < options_.cache_limit) return;
    const auto time = now();
    std::erase_if(cache_, [time](const auto& entry) { return entry.second.until <= time; });
    while (!cache_.empty() && cache_.size() >= options_.cache_limit) cache_.erase(cache_.begin());
  }

  /// The current one, made anew when resolv.conf has changed.
  std::shared_ptr<Channel> channel() {
    const auto time = now();
    if (channel_ && time < look_again_) return channel_;
    look_again_ = time + file_check;
    struct stat found{};
    std::pair<std::int64_t, std::uint64_t> mark{};
    if (::stat(options_.resolv_conf.c_str(), &found) == 0) {
      mark = {std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec,
              found.st_ino};
    }
    if (!channel_ || mark != mark_) channel_ = std::make_shared<Channel>(context_, options_);
    mark_ = mark;
    return channel_;
  }

  asio::io_context& context_;
  ResolverOptions options_;
  ResolverStats stats_;
  bool closed_ = false;
  Answer literal_;  // what known() found in its argument
  Ticket last_ticket_ = 0;
  std::shared_ptr<Channel> channel_;
  core::Time look_again_{};
  std::pair<std::int64_t, std::uint64_t> mark_{};
  std::unordered_map<std::string, std::unique_ptr<Query>, TextHash, std::equal_to<>> queries_;
  std::unordered_map<Ticket, Handler> waiting_;
  std::unordered_map<std::string, Entry, TextHash, std::equal_to<>> cache_;
};

Resolver::Resolver(asio::io_context& context, ResolverOptions options)
    : impl_(std::make_shared<Impl>(context, std::move(options))) {}
Resolver::~Resolver() { impl_->close(); }
const Resolver::Answer* Resolver::known(std::string_view name) { return impl_->known(name); }
Resolver::Ticket Resolver::resolve(std::string_view name, Handler handler) {
  return impl_->resolve(name, std::move(handler));
}
void Resolver::cancel(Ticket ticket) { impl_->cancel(ticket); }
void Resolver::forget(std::string_view name) { impl_->forget(name); }
ResolverStats Resolver::stats() const { return impl_->stats(); }

}  // namespace sentinel::io
