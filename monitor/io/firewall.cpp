#include "io/firewall.hpp"

// Before the kernel's own headers, which then leave out what it declares.
#include <netinet/in.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "io/nat_expressions.hpp"

namespace sentinel::io {
namespace {

using core::Family;

constexpr int attempts = 5;  // at a list that changes while it is read
constexpr std::size_t max_legacy = std::size_t{16} << 20U;  // bytes of a legacy table

/// The kernel loads the legacy tables' module when it is asked about them: so ask only where they
/// are in use.
bool legacy_in_use(const char* names) {
  std::ifstream file{names};
  for (std::string line; std::getline(file, line);)
    if (line == "filter") return true;
  return false;
}

template <typename T>
T read_at(const std::vector<std::byte>& bytes, std::size_t at) {
  T value{};
  if (at + sizeof value <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// `Info`, `Entries`, `Entry`: the family's structures (linux/netfilter_ipv4/ip_tables.h).
template <typename Info, typename Entries, typename Entry>
void legacy_chains(int domain, int level, int get_info, int get_entries,
                   std::vector<FirewallChain>& out) {
  const int fd = ::socket(domain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd < 0) return;
  const auto read = [&] {
    Info info{};
    std::strcpy(info.name, "filter");
    socklen_t size = sizeof info;
    if (::getsockopt(fd, level, get_info, &info, &size) != 0 || info.size > max_legacy) return;
    std::vector<std::byte> bytes(sizeof(Entries) + info.size);
    Entries head{};
    std::strcpy(head.name, "filter");
    head.size = info.size;
    std::memcpy(bytes.data(), &head, sizeof head);
    size = static_cast<socklen_t>(bytes.size());
    if (::getsockopt(fd, level, get_entries, bytes.data(), &size) != 0) return;
    const Family family = domain == AF_INET ? Family::v4 : Family::v6;
    const std::string table = domain == AF_INET ? "iptables filter" : "ip6tables filter";
    const auto target_at = [&](std::size_t entry) {
      return sizeof(Entries) + entry + read_at<Entry>(bytes, sizeof(Entries) + entry).target_offset;
    };
    if ((info.valid_hooks & (1U << NF_INET_FORWARD)) != 0) {
      const auto policy = read_at<xt_standard_target>(
          bytes, target_at(info.underflow[NF_INET_FORWARD]));  // NOLINT: the kernel's array
      out.push_back({.family = family,
                     .table = table,
                     .name = "FORWARD",
                     .legacy = true,
                     .type = "filter",
                     .hook = NF_INET_FORWARD,
                     .priority = 0,
                     .drops = policy.verdict == -NF_DROP - 1});
    }
    for (std::size_t at = 0; at + sizeof(Entry) <= info.size;) {
      const auto entry = read_at<Entry>(bytes, sizeof(Entries) + at);
      if (entry.next_offset < sizeof(Entry)) break;
      // A chain of people begins with an entry of this kind, which names it.
      const auto target = read_at<xt_error_target>(bytes, target_at(at));
      if (std::string_view{target.target.u.user.name,
                           ::strnlen(target.target.u.user.name, XT_EXTENSION_MAXNAMELEN)} ==
          XT_ERROR_TARGET) {
        const std::string name{target.errorname,
                               ::strnlen(target.errorname, sizeof target.errorname)};
        if (name != XT_ERROR_TARGET)
          out.push_back({.family = family,
                         .table = table,
                         .name = name,
                         .legacy = true,
                         .type = {},
                         .hook = 0,
                         .priority = 0,
                         .drops = false});
      }
      at += entry.next_offset;
    }
  };
  read();
  ::close(fd);
}

void add_chain(const nlmsghdr& message, std::uint8_t family, std::vector<FirewallChain>& out) {
  const Attributes parts = attributes(message);
  FirewallChain chain;
  const std::string name{text(find(parts, NFTA_CHAIN_TABLE))};
  chain.table = (family == NFPROTO_INET ? "inet " : family == NFPROTO_IPV4 ? "ip " : "ip6 ") + name;
  chain.name = text(find(parts, NFTA_CHAIN_NAME));
  chain.type = text(find(parts, NFTA_CHAIN_TYPE));
  const Attributes hook = attributes(find(parts, NFTA_CHAIN_HOOK));
  chain.hook = be32(find(hook, NFTA_HOOK_HOOKNUM)).value_or(0);
  chain.priority = static_cast<int>(be32(find(hook, NFTA_HOOK_PRIORITY)).value_or(0));
  chain.drops = be32(find(parts, NFTA_CHAIN_POLICY)).value_or(NF_ACCEPT) == NF_DROP;
  for (const Family one : {Family::v4, Family::v6}) {
    const bool meant = family == NFPROTO_INET || (family == NFPROTO_IPV4) == (one == Family::v4);
    if (!meant) continue;
    chain.family = one;
    out.push_back(chain);
  }
}

}  // namespace

std::expected<std::vector<FirewallChain>, Error> firewall_chains() {
  auto socket = NetlinkSocket::open();
  if (!socket) return std::unexpected(socket.error());
  std::vector<FirewallChain> all;
  NetlinkWriter request;
  for (const std::uint8_t family : {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET}) {
    for (int attempt = 1;; ++attempt) {
      std::vector<FirewallChain> found;
      request.clear();
      request.message(nft_message(NFT_MSG_GETCHAIN), NLM_F_DUMP, family);
      const auto read = socket->dump(
          request, [&](const nlmsghdr& message) { add_chain(message, family, found); });
      if (read && *read) {
        all.insert(all.end(), found.begin(), found.end());
        break;
      }
      if (!read) return std::unexpected(read.error());
      if (attempt == attempts)
        return std::unexpected(Error{"the rules change too fast to be read", EAGAIN});
    }
  }
  if (legacy_in_use("/proc/net/ip_tables_names"))
    legacy_chains<ipt_getinfo, ipt_get_entries, ipt_entry>(AF_INET, IPPROTO_IP, IPT_SO_GET_INFO,
                                                           IPT_SO_GET_ENTRIES, all);
  if (legacy_in_use("/proc/net/ip6_tables_names"))
    legacy_chains<ip6t_getinfo, ip6t_get_entries, ip6t_entry>(
        AF_INET6, IPPROTO_IPV6, IP6T_SO_GET_INFO, IP6T_SO_GET_ENTRIES, all);
  return all;
}

}  // namespace sentinel::io
