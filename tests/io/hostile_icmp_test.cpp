// ICMP probes in a network namespace where the kernel does not answer echo requests: a peer of our
// own does, or lies. With unprivileged ping sockets and with raw ones.

#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstring>
#include <fstream>

#include "hostile_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using core::ProbeReason;
using core::Verdict;

namespace {

constexpr std::size_t header_bytes = 20;  // of IPv4, without options

/// This thread is in a namespace of its own from here on.
class OwnNetwork {
 public:
  explicit OwnNetwork(bool ping_sockets) {
    REQUIRE(::unshare(CLONE_NEWNET) == 0);
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq loopback{};
    std::strcpy(loopback.ifr_name, "lo");
    loopback.ifr_flags = IFF_UP | IFF_RUNNING;
    REQUIRE(::ioctl(fd, SIOCSIFFLAGS, &loopback) == 0);
    ::close(fd);
    set("ipv4/icmp_echo_ignore_all", "1");
    set("ipv4/ping_group_range", ping_sockets ? "0 2147483647" : "1 0");
  }

 private:
  static void set(const std::string& name, const std::string& value) {
    std::ofstream file("/proc/sys/net/" + name);
    file << value << std::flush;
    REQUIRE(file.good());
  }
};

std::uint16_t checksum(std::string_view text) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint32_t byte = static_cast<unsigned char>(text[i]);
    sum += i % 2 == 0 ? byte << 8U : byte;
  }
  while (sum > 0xFFFFU) sum = (sum & 0xFFFFU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

std::string summed(std::string message) {
  message[2] = message[3] = '\0';
  const auto sum = checksum(message);
  message[2] = static_cast<char>(sum >> 8U);
  message[3] = static_cast<char>(sum & 0xFFU);
  return message;
}

struct Packet {
  std::string message;
  std::string from = "127.0.0.1";
};
using Packets = std::vector<Packet>;
/// Of an IP packet that holds an echo request.
using Liar = std::function<Packets(const std::string& packet)>;

std::string request_of(const std::string& packet) { return packet.substr(header_bytes); }

std::string reply(std::string message) {
  message[0] = 0;
  return summed(message);
}
std::string right(const std::string& packet) { return reply(request_of(packet)); }
std::string changed(const std::string& packet, std::size_t at) {
  auto message = request_of(packet);
  message[at] = static_cast<char>(message[at] ^ 0x55);
  return reply(message);
}
/// A router's word about a packet.
std::string unreachable(const std::string& packet, char code) {
  return summed(std::string("\x03", 1) + code + std::string(6, '\0') + packet);
}
/// About a packet to somebody else.
std::string unreachable_elsewhere(std::string packet) {
  packet[19] = 9;
  return unreachable(packet, 1);
}

/// Hears each echo request to the loopback address and answers as the liar says.
class EchoPeer {
 public:
  EchoPeer(boost::asio::io_context& context, Liar liar)
      : socket_(context, open()), liar_(std::move(liar)) {
    wait();
  }
  EchoPeer(const EchoPeer&) = delete;
  EchoPeer& operator=(const EchoPeer&) = delete;
  unsigned heard() const { return *heard_; }

 private:
  static int open() {
    const int fd = ::socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
    REQUIRE(fd >= 0);
    const int bytes = 8 << 20;
    REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) == 0);
    return fd;
  }

  void wait() {
    socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [this, heard = heard_](const boost::system::error_code& error) {
                         if (error) return;
                         std::array<char, 2048> buffer{};
                         const auto size =
                             ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
                         if (size > 0) answer({buffer.data(), static_cast<std::size_t>(size)});
                         wait();
                       });
  }

  void answer(const std::string& packet) {
    if (packet.size() < header_bytes + 8 || packet[header_bytes] != 8) return;
    ++*heard_;
    for (const Packet& one : liar_(packet)) send(one);
  }

  static void send(const Packet& packet) {
    const int fd = open();
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(packet.from == "127.0.0.1" ? 0x7f000001 : 0x7f000002);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(0x7f000001);
    ::sendto(fd, packet.message.data(), packet.message.size(), 0,
             reinterpret_cast<const sockaddr*>(&to), sizeof to);
    ::close(fd);
  }

  boost::asio::posix::stream_descriptor socket_;
  Liar liar_;
  std::shared_ptr<unsigned> heard_ = std::make_shared<unsigned>(0);
};

core::ProbeSpec icmp(core::Duration timeout = 20s, unsigned count = 1) {
  core::ProbeSpec spec;
  spec.name = "ping";
  spec.kind = core::ProbeKind::icmp;
  spec.port = 0;
  spec.timeout = timeout;
  spec.icmp.count = count;
  spec.icmp.spacing = 10ms;
  return spec;
}

}  // namespace

TEST_CASE("icmp: replies that are not to our request, or not from whom we asked") {
  const OwnNetwork network(GENERATE(true, false));
  const std::vector<std::pair<std::string, Liar>> lies{
      {"another id", [](const auto& p) { return Packets{{changed(p, 4)}}; }},
      {"another sequence", [](const auto& p) { return Packets{{changed(p, 7)}}; }},
      {"another token", [](const auto& p) { return Packets{{changed(p, 15)}}; }},
      {"another address", [](const auto& p) { return Packets{{right(p), "127.0.0.2"}}; }},
      {"cut off", [](const auto& p) { return Packets{{reply(request_of(p).substr(0, 12))}}; }},
      {"a header only", [](const auto& p) { return Packets{{reply(request_of(p).substr(0, 8))}}; }},
      {"too long",
       [](const auto& p) { return Packets{{reply(request_of(p) + std::string(30'000, 'x'))}}; }},
      {"a router about others", [](const auto& p) { return Packets{{unreachable_elsewhere(p)}}; }},
      {"a flood",
       [](const auto& p) {
         Packets all(1000, Packet{changed(p, 15)});
         return all;
       }},
  };
  for (const auto& [what, liar] : lies) {
    CAPTURE(what);
    HostileBed bed;
    {
      EchoPeer lying(bed.context(), liar);
      check(bed.suffer(icmp(300ms)), ProbeReason::timeout, "no reply within 300 ms");
      CHECK(lying.heard() == 1);
    }
    EchoPeer in_the_end(bed.context(), [&liar](const std::string& packet) {
      auto all = liar(packet);
      all.push_back({right(packet)});
      return all;
    });
    const auto found = bed.suffer(icmp());
    INFO(found.sentence);
    CHECK(found.verdict == Verdict::pass);
  }
}

TEST_CASE("icmp: each packet counts once, however often it is answered") {
  const OwnNetwork network(GENERATE(true, false));
  HostileBed bed;
  unsigned number = 0;
  EchoPeer peer(bed.context(), [&number](const std::string& packet) {
    // Every other one, three times.
    return ++number % 2 == 0 ? Packets{} : Packets(3, Packet{right(packet)});
  });
  const auto found = bed.suffer(icmp(1s, 4));
  check(found, ProbeReason::loss, "2 of 4 packets lost");
  CHECK(found.loss == 0.5);
}

TEST_CASE("icmp: a router's refusal is told, and a single reply outweighs it") {
  const OwnNetwork network(GENERATE(true, false));
  HostileBed bed;
  {
    EchoPeer router(bed.context(), [](const auto& p) { return Packets{{unreachable(p, 1)}}; });
    check(bed.suffer(icmp()), ProbeReason::unreachable, "");
  }
  {
    EchoPeer port(bed.context(), [](const auto& p) { return Packets{{unreachable(p, 3)}}; });
    check(bed.suffer(icmp()), ProbeReason::refused, "");
  }
  unsigned number = 0;
  EchoPeer both(bed.context(), [&number](const std::string& packet) {
    return Packets{{++number == 1 ? unreachable(packet, 1) : right(packet)}};
  });
  auto spec = icmp(20s, 2);
  spec.icmp.max_loss = 50;
  CHECK(bed.suffer(spec).verdict == Verdict::pass);
}

TEST_CASE("icmp: hundreds of probes share a socket, and a silent target keeps none of them") {
  const OwnNetwork network(GENERATE(true, false));
  HostileBed bed;
  EchoPeer peer(bed.context(), [](const auto& p) { return Packets{{right(p)}}; });
  constexpr int probes = 300;
  std::vector<std::uint64_t> runs;
  runs.reserve(probes);
  for (int i = 0; i < probes; ++i)
    runs.push_back(bed.start(icmp(i % 3 == 0 ? 10s : 20s), "127.0.0.1"));
  const auto silent = bed.start(icmp(300ms), "127.0.0.9");
  for (const auto run : runs) CHECK(bed.outcome(run).verdict == Verdict::pass);
  // 127.0.0.9 is ours as well, but whoever answers for it is 127.0.0.1.
  CHECK(bed.outcome(silent).reason == ProbeReason::timeout);
}
