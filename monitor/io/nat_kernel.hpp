#pragma once

// The NAT table in the kernel (io/nat_rules says what it looks like): made, changed and read back
// by netlink, each change in one transaction that is done as a whole or not at all. Tables of
// others are never listed or touched.
//
// Not for use by several threads. Calls take microseconds to, for thousands of services, seconds;
// they never wait for anybody but the kernel.

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/nat.hpp"
#include "core/time.hpp"
#include "io/error.hpp"
#include "io/nat_rules.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct NatTransaction {
  core::Duration took{};     // from the first byte written to the kernel's answer
  std::size_t messages = 0;  // of netlink
  std::size_t bytes = 0;
};

/// Since the server's mark was last added to the table.
struct NatCount {
  std::uint64_t connections = 0;
  std::uint64_t packets = 0;  // both directions, as far as they are forwarded or sent by this host;
  std::uint64_t bytes = 0;    // 0 without NatOptions::count_traffic
  bool operator==(const NatCount&) const = default;
};

class NatKernel {
 public:
  /// One netlink socket, kept open: closing one takes milliseconds.
  static std::expected<std::unique_ptr<NatKernel>, Error> open(NatOptions options);
  ~NatKernel();
  NatKernel(const NatKernel&) = delete;
  NatKernel& operator=(const NatKernel&) = delete;

  /// What the kernel holds. nullopt: no table of ours, or one that is incomplete, inconsistent or
  /// made by other options or another version: create() replaces it, which disturbs no connection
  /// either. A service that rejects is read back with the default class and spread.
  std::expected<std::optional<core::NatTable>, Error> load();

  /// Replaces what is there, if anything, by this table. Sticky clients and counters begin anew.
  std::expected<NatTransaction, Error> create(const core::NatTable& table);

  /// The errors' codes: ENOENT and EEXIST when the kernel's table is not the one the changes begin
  /// with (create() makes it the wanted one), ENOMEM and ENFILE for want of space, EPERM, and what
  /// else nf_tables says. After an error nothing has changed, with one exception: ENOBUFS means
  /// that the answer was lost (load() tells).
  std::expected<NatTransaction, Error> apply(const std::vector<core::NatChange>& changes);

  /// Deletes our tables. Connections that exist go on only as long as somebody else uses NAT.
  std::expected<NatTransaction, Error> remove();

  /// By mark, for every server in the table.
  std::expected<std::map<core::Mark, NatCount>, Error> counts();
  /// Packets of connections to a virtual address that found no server and were dropped.
  std::expected<std::uint64_t, Error> misses();

  /// Whether tables, chains, rules and sets are all there (elements apart).
  std::expected<bool, Error> intact();

  /// Calls on_foreign, on the context's thread and never from inside a call, as soon as somebody
  /// else changed or deleted our table, with a sentence that says what and who. It is for the
  /// caller to create() it again, and to limit how often. Ends with this object, which the
  /// context must outlive.
  std::expected<void, Error> watch(boost::asio::io_context& context,
                                   std::function<void(std::string)> on_foreign);

 private:
  class Impl;
  explicit NatKernel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sentinel::io
