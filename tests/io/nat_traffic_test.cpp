// Real connections through the NAT table: who gets them, what a flush forgets, what comes back.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <optional>

#include "io/conntrack.hpp"
#include "io/nat_kernel.hpp"
#include "io_loop.hpp"
#include "nat_fixture.hpp"
#include "netns.hpp"

namespace {

using namespace sentinel;
using test::eventually;
using test::ip;
using test::net;
using test::service;
using test::shell;

template <typename T>
T done(std::expected<T, io::Error> result) {
  if (!result) FAIL(result.error().text);
  return *std::move(result);
}
void done(std::expected<void, io::Error> result) {
  if (!result) FAIL(result.error().text);
}

/// A socket address of either family.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
  Address(const core::IpAddress& address, std::uint16_t port) {
    if (address.family == core::Family::v4) {
      auto* in = reinterpret_cast<sockaddr_in*>(&storage);
      in->sin_family = AF_INET;
      in->sin_port = htons(port);
      std::copy_n(address.bytes.begin(), 4, reinterpret_cast<std::uint8_t*>(&in->sin_addr));
      size = sizeof *in;
    } else {
      auto* in = reinterpret_cast<sockaddr_in6*>(&storage);
      in->sin6_family = AF_INET6;
      in->sin6_port = htons(port);
      std::copy_n(address.bytes.begin(), 16, reinterpret_cast<std::uint8_t*>(&in->sin6_addr));
      size = sizeof *in;
    }
  }
};

/// A socket that ends with the object.
class Socket {
 public:
  Socket(const core::IpAddress& address, std::uint16_t port, int type)
      : fd_(::socket(address.family == core::Family::v4 ? AF_INET : AF_INET6,
                     type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
        address_(address, port) {}
  explicit Socket(int fd) : fd_(fd), address_({}, 0) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), address_(other.address_) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  bool bind() { return ::bind(fd_, address_.raw(), address_.size) == 0; }
  /// Begun: whether it was accepted is asked of the other side.
  void connect() {
    [[maybe_unused]] const int begun = ::connect(fd_, address_.raw(), address_.size);
  }
  int fd() const { return fd_; }
  bool ready(short events, int ms) {
    pollfd entry{.fd = fd_, .events = events, .revents = 0};
    return ::poll(&entry, 1, ms) == 1;
  }
  /// 0, or why it is not connected.
  int error() {
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &code, &size);
    return code;
  }

 private:
  int fd_;
  Address address_;
};

constexpr int patience_ms = 20'000;
constexpr int moment_ms = 300;  // for what must not come

/// Client, firewall and servers in three namespaces; servers are addresses of one namespace, each
/// with a TCP and a UDP listener.
class Bed {
 public:
  test::Namespace client, firewall, servers;

  Bed() {
    {
      const test::Namespace::Inside inside{firewall};
      shell("ip link add c type veth peer name eth netns " + client.path() +
            " && ip link add s type veth peer name eth netns " + servers.path() +
            " && ip addr add 10.1.0.1/24 dev c && ip addr add 10.8.0.1/24 dev s"
            " && ip addr add fd01::1/64 dev c nodad && ip addr add fd08::1/64 dev s nodad"
            " && ip link set c up && ip link set s up"
            " && sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    }
    {
      const test::Namespace::Inside inside{client};
      shell(
          "ip link set eth up && ip addr add 10.1.0.2/24 dev eth && ip addr add 10.1.0.3/24 dev eth"
          " && ip addr add fd01::2/64 dev eth nodad && ip route add default via 10.1.0.1"
          " && ip -6 route add default via fd01::1");
    }
    {
      const test::Namespace::Inside inside{servers};
      shell(
          "ip link set eth up && ip addr add 10.8.0.11/24 dev eth && ip addr add 10.8.0.12/24 dev "
          "eth"
          " && ip addr add fd08::11/64 dev eth nodad && ip addr add fd08::12/64 dev eth nodad"
          " && ip route add default via 10.8.0.1 && ip -6 route add default via fd08::1");
      for (const char* address : {"10.8.0.11", "10.8.0.12", "fd08::11", "fd08::12"}) {
        for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
          Socket one{ip(address), 80, type};
          REQUIRE(one.bind());
          if (type == SOCK_STREAM) REQUIRE(::listen(one.fd(), 1000) == 0);
          listeners_.emplace(std::pair{std::string{address}, type}, std::move(one));
        }
      }
    }
  }

  Socket& listener(const std::string& server, int type) { return listeners_.at({server, type}); }

  Socket client_socket(const core::IpAddress& vip, int type, const std::string& from = {},
                       std::uint16_t port = 0) const {
    const test::Namespace::Inside inside{client};
    Socket made{vip, 80, type};
    if (!from.empty()) {
      Address local{ip(from), port};
      REQUIRE(::bind(made.fd(), local.raw(), local.size) == 0);
    }
    made.connect();
    return made;
  }

  /// A new TCP connection; the servers' side of it is accepted.
  Socket connected(const core::IpAddress& vip, const std::string& from = {}) {
    Socket made = client_socket(vip, SOCK_STREAM, from);
    REQUIRE(made.ready(POLLOUT, patience_ms));
    REQUIRE(made.error() == 0);
    return made;
  }

  /// How many connections have come to the server since the last call.
  std::size_t accepted(const std::string& server) {
    std::size_t count = 0;
    for (int fd = 0; (fd = ::accept(listener(server, SOCK_STREAM).fd(), nullptr, nullptr)) >= 0;) {
      held_.emplace_back(fd);
      ++count;
    }
    return count;
  }

 private:
  std::map<std::pair<std::string, int>, Socket> listeners_;
  std::vector<Socket> held_;
};

constexpr core::Mark one = core::mark_base + 0x10;
constexpr core::Mark two = core::mark_base + 0x20;
constexpr core::Mark one6 = core::mark_base + 0x11;
constexpr core::Mark two6 = core::mark_base + 0x21;
constexpr core::MarkBlock block_one{core::mark_base + 0x10, 0xfffffff0};
constexpr core::MarkBlock block_two{core::mark_base + 0x20, 0xfffffff0};
constexpr core::MarkBlock all_ours{core::mark_base, core::mark_base_mask};

const core::IpAddress vip = ip("203.0.113.10");
const core::IpAddress vip6 = ip("2001:db8::10");

core::NatTable table_of(core::Spread spread) {
  core::NatTable table;
  table.servers = {{one, {ip("10.8.0.11"), 80}},
                   {two, {ip("10.8.0.12"), 80}},
                   {one6, {ip("fd08::11"), 80}},
                   {two6, {ip("fd08::12"), 80}}};
  for (const auto protocol : {core::L4::tcp, core::L4::udp}) {
    table.services[{vip, protocol, 80}] = service({one, two}, spread);
    table.services[{vip6, protocol, 80}] = service({one6, two6}, spread);
  }
  table.live = {one, two, one6, two6};
  return table;
}

}  // namespace

TEST_CASE("new connections go round robin, existing ones stay, and all are counted") {
  Bed bed;
  const test::Namespace::Inside inside{bed.firewall};
  const auto kernel = done(io::NatKernel::open({}));
  auto conntrack = done(io::Conntrack::open());
  core::NatTable table = table_of(core::Spread::round_robin);
  done(kernel->create(table));

  std::vector<Socket> clients;
  clients.reserve(122);
  for (int i = 0; i < 61; ++i) clients.push_back(bed.connected(vip));
  CHECK(bed.accepted("10.8.0.11") == 31);  // 61 slots in turn
  CHECK(bed.accepted("10.8.0.12") == 30);
  for (int i = 0; i < 61; ++i) clients.push_back(bed.connected(vip6));
  CHECK(bed.accepted("fd08::11") + bed.accepted("fd08::12") == 61);
  const auto counts = done(kernel->counts());
  CHECK(counts.at(one).connections == 31);
  CHECK(counts.at(two).connections == 30);
  CHECK(counts.at(one6).connections + counts.at(two6).connections == 61);
  CHECK(counts.at(one).packets >= 31 * 3);  // three to connect
  CHECK(counts.at(one).bytes > counts.at(one).packets * 40);
  CHECK(done(kernel->misses()) == 0);
  CHECK(done(conntrack.count(block_one)).open >= 31);
  CHECK(done(conntrack.counts(all_ours)).at(two) == io::FlowCount{30, 0});
  const io::TableUse use = done(conntrack.use());
  CHECK(use.used >= 122);
  CHECK(use.maximum > use.used);

  // The first server leaves every slot; its connections still work.
  core::NatTable next = table;
  for (auto& [key, service] : next.services) {
    for (auto& mark : service.slots) mark = mark == one ? two : mark == one6 ? two6 : mark;
  }
  done(kernel->apply(core::difference(table, next)));
  for (int i = 0; i < 61; ++i) clients.push_back(bed.connected(vip));
  CHECK(bed.accepted("10.8.0.11") == 0);
  CHECK(bed.accepted("10.8.0.12") == 61);
  CHECK(done(conntrack.count(block_one)).open >= 31);

  SECTION("a flush forgets exactly the flows of its server") {
    const auto before = done(conntrack.counts(all_ours));
    const auto flushed = done(conntrack.flush(block_one));
    CHECK(flushed.flows == before.at(one).open + before.at(one6).open);
    CHECK(done(conntrack.count(block_one)) == io::FlowCount{});
    CHECK(done(conntrack.counts(all_ours)).at(two) == before.at(two));
    CHECK(done(conntrack.counts(all_ours)).at(two6) == before.at(two6));
  }
  SECTION("an empty slot drops and is counted") {
    std::vector<core::NatChange> gone;
    gone.reserve(61);
    for (std::uint16_t slot = 0; slot < 61; ++slot) {
      gone.emplace_back(
          core::SetSlot{{vip, core::L4::tcp, 80}, core::SlotClass::small, slot, two, std::nullopt});
    }
    done(kernel->apply(gone));
    Socket lost = bed.client_socket(vip, SOCK_STREAM);
    CHECK_FALSE(lost.ready(POLLOUT, moment_ms));
    CHECK(done(kernel->misses()) >= 1);
  }
  SECTION("a service without servers rejects") {
    core::NatTable empty = next;
    for (auto& [key, service] : empty.services) service = {};
    done(kernel->apply(core::difference(next, empty)));
    for (const auto& address : {vip, vip6}) {
      for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        CAPTURE(address.to_string(), type);
        Socket refused = bed.client_socket(address, type);
        if (type == SOCK_DGRAM) (void)::send(refused.fd(), "?", 1, 0);
        REQUIRE(refused.ready(type == SOCK_STREAM ? POLLOUT : POLLIN, patience_ms));
        CHECK(refused.error() == ECONNREFUSED);
      }
    }
  }
}

TEST_CASE("a flush needs marks of ours") {
  const test::Namespace where;
  const test::Namespace::Inside inside{where};
  auto conntrack = done(io::Conntrack::open());
  for (const core::MarkBlock wrong :
       {core::MarkBlock{0, 0}, core::MarkBlock{1, 1}, core::MarkBlock{core::mark_base, 0},
        core::MarkBlock{core::mark_base + 1, core::mark_base_mask}}) {
    CHECK(conntrack.flush(wrong).error().code == EINVAL);
  }
}

TEST_CASE("a UDP client on a fixed port finds another server after the flush, not before") {
  Bed bed;
  const test::Namespace::Inside inside{bed.firewall};
  const auto kernel = done(io::NatKernel::open({}));
  auto conntrack = done(io::Conntrack::open());
  const bool v6 = GENERATE(false, true);
  CAPTURE(v6);
  const core::NatTable table = table_of(core::Spread::source_hash);
  done(kernel->create(table));
  Socket client = bed.client_socket(v6 ? vip6 : vip, SOCK_DGRAM, v6 ? "fd01::2" : "10.1.0.2", 5000);
  REQUIRE(::send(client.fd(), "1", 1, 0) == 1);
  const std::string names[2] = {v6 ? "fd08::11" : "10.8.0.11", v6 ? "fd08::12" : "10.8.0.12"};
  std::size_t got = 2;
  REQUIRE(eventually([&] {
    for (std::size_t i : {0U, 1U}) {
      if (bed.listener(names[i], SOCK_DGRAM).ready(POLLIN, 0)) got = i;
    }
    return got < 2;
  }));
  const core::Mark gone = got == 0 ? (v6 ? one6 : one) : (v6 ? two6 : two);
  const core::Mark other = got == 0 ? (v6 ? two6 : two) : (v6 ? one6 : one);
  char byte = 0;
  REQUIRE(::recv(bed.listener(names[got], SOCK_DGRAM).fd(), &byte, 1, 0) == 1);

  core::NatTable next = table;
  for (auto& [key, service] : next.services) {
    for (auto& mark : service.slots) mark = mark == gone ? other : mark;
  }
  done(kernel->apply(core::difference(table, next)));
  REQUIRE(::send(client.fd(), "2", 1, 0) == 1);
  CHECK(bed.listener(names[got], SOCK_DGRAM).ready(POLLIN, patience_ms));
  CHECK(done(conntrack.flush(got == 0 ? block_one : block_two)).flows == 1);
  REQUIRE(::send(client.fd(), "3", 1, 0) == 1);
  CHECK(bed.listener(names[1 - got], SOCK_DGRAM).ready(POLLIN, patience_ms));
}

TEST_CASE("a sticky client keeps its server while that is live") {
  Bed bed;
  const test::Namespace::Inside inside{bed.firewall};
  const auto kernel = done(io::NatKernel::open({}));
  core::NatTable table = table_of(core::Spread::sticky);
  done(kernel->create(table));
  std::vector<Socket> clients;
  const auto ten_of = [&](const std::string& from) {
    for (int i = 0; i < 10; ++i) clients.push_back(bed.connected(vip, from));
    return std::pair{bed.accepted("10.8.0.11"), bed.accepted("10.8.0.12")};
  };
  using Pair = std::pair<std::size_t, std::size_t>;
  const Pair first = ten_of("10.1.0.2");
  CHECK((first == Pair{10, 0} || first == Pair{0, 10}));
  const Pair second = ten_of("10.1.0.3");
  CHECK(second == Pair{first.second, first.first});  // the next slot was the other server's

  // The server of the first client leaves the slots and is no longer live: a new one, and that for
  // good, also when the old one is live again.
  const core::Mark gone = first.first == 10 ? one : two;
  const core::Mark other = first.first == 10 ? two : one;
  core::NatTable next = table;
  next.live.erase(gone);
  for (auto& [key, service] : next.services) {
    for (auto& mark : service.slots) mark = mark == gone ? other : mark;
  }
  done(kernel->apply(core::difference(table, next)));
  CHECK(ten_of("10.1.0.2") == second);
  done(kernel->apply(core::difference(next, table)));
  CHECK(ten_of("10.1.0.2") == second);

  SECTION("draining: no slot, but live for those it knows") {
    core::NatTable draining = table;
    for (auto& [key, service] : draining.services) {
      for (auto& mark : service.slots) mark = mark == other ? gone : mark;
    }
    done(kernel->apply(core::difference(table, draining)));
    CHECK(ten_of("10.1.0.2") == second);
  }
}

TEST_CASE("hairpin and masqueraded connections come from the firewall, others from the client") {
  Bed bed;
  const test::Namespace::Inside inside{bed.firewall};
  const auto kernel = done(io::NatKernel::open({}));
  core::NatTable table = table_of(core::Spread::round_robin);
  bool masquerade = false;
  std::string expected = "10.1.0.2";
  SECTION("as it is") {}
  SECTION("masqueraded") {
    masquerade = true;
    expected = "10.8.0.1";
  }
  SECTION("client and server in the hairpin nets") {
    table.hairpin = {net("10.0.0.0/8")};
    expected = "10.8.0.1";
  }
  SECTION("only the server in them") { table.hairpin = {net("10.8.0.0/24")}; }
  if (masquerade) {
    for (const core::Mark mark : {one, two}) {
      table.servers[mark | core::mark_masquerade] = table.servers.at(mark);
    }
    table.services[{vip, core::L4::tcp, 80}] =
        service({one | core::mark_masquerade, two | core::mark_masquerade});
  }
  done(kernel->create(table));
  const Socket made = bed.connected(vip, "10.1.0.2");
  Socket& first = bed.listener("10.8.0.11", SOCK_STREAM);
  Socket& listener = first.ready(POLLIN, 0) ? first : bed.listener("10.8.0.12", SOCK_STREAM);
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  const Socket accepted{::accept(listener.fd(), reinterpret_cast<sockaddr*>(&peer), &size)};
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
  CHECK(text == expected);
}

TEST_CASE("connections of the firewall itself are forwarded too") {
  Bed bed;
  const test::Namespace::Inside inside{bed.firewall};
  shell("ip addr add 203.0.113.10/32 dev lo");
  const auto kernel = done(io::NatKernel::open({}));
  done(kernel->create(table_of(core::Spread::round_robin)));
  Socket made{vip, 80, SOCK_STREAM};
  made.connect();
  REQUIRE(made.ready(POLLOUT, patience_ms));
  CHECK(made.error() == 0);
  CHECK(bed.accepted("10.8.0.11") + bed.accepted("10.8.0.12") == 1);
}

TEST_CASE("what others do to the table is heard of, what we do is not") {
  const test::Namespace where;
  const test::Namespace::Inside inside{where};
  boost::asio::io_context context;
  const auto kernel = done(io::NatKernel::open({}));
  const core::NatTable table = table_of(core::Spread::round_robin);
  done(kernel->create(table));
  std::vector<std::string> heard;
  done(kernel->watch(context, [&](std::string what) {
    heard.push_back(std::move(what));
    done(kernel->create(table));
  }));
  const auto listen = [&] {
    context.restart();
    const auto end = std::chrono::steady_clock::now() + test::patience;
    while (heard.empty() && std::chrono::steady_clock::now() < end) {
      context.run_for(std::chrono::milliseconds{20});
    }
    context.run_for(std::chrono::milliseconds{50});  // nothing follows from our own restoring
  };

  done(kernel->apply({core::SetLive{one + 5, true}}));
  done(kernel->apply({core::SetLive{one + 5, false}}));
  for (const bool live : {true, false}) {
    std::vector<core::NatChange> many;
    for (core::Mark mark = one + 100; mark < one + 200; ++mark)
      many.emplace_back(core::SetLive{mark, live});
    done(kernel->apply(many));
  }
  shell("nft add table ip other && nft add chain ip other sentinel && nft add table ip sentinel2");
  context.run_for(std::chrono::milliseconds{100});
  CHECK(heard.empty());

  const auto& [command, word] =
      GENERATE(std::pair{"nft flush ruleset", "deleted by nft"},
               std::pair{"nft delete table ip6 sentinel", "deleted by nft"},
               std::pair{"nft flush chain ip sentinel send", "changed by nft"},
               std::pair{"nft flush map ip sentinel be", "changed by nft"});
  CAPTURE(command);
  shell(command);
  listen();
  REQUIRE(heard.size() == 1);
  CHECK(heard.front().contains(word));
  CHECK(done(kernel->load()) == table);
}
