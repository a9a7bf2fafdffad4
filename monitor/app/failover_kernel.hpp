#pragma once

// The kernel's side of the failover: performs what the core asks of the NAT table and the
// connections, and restores the table when somebody else has changed it.

#include <functional>
#include <memory>
#include <string>

#include "core/failover.hpp"
#include "io/conntrack.hpp"
#include "io/nat_kernel.hpp"
#include "io/runtime.hpp"
#include "observe/failover_counts.hpp"
#include "observe/log.hpp"

namespace sentinel::app {

class FailoverKernel {
 public:
  struct Means {
    boost::asio::io_context& context;
    observe::Log& log;
    observe::FailoverCounts& counts;
    std::function<void(core::PoolEvent)> deliver;
    /// What the table is to be when it must be made anew.
    std::function<const core::NatTable&()> table;
  };
  FailoverKernel(Means means, io::NatOptions options);

  /// Opens sockets. An error is a whole sentence with its remedy.
  std::expected<void, std::string> open();
  /// Reads the table, or makes an empty one, and answers NatRead.
  void read(core::Duration sticky_timeout);

  void perform(const core::ApplyNat& action);
  void perform(const core::ReadNat& action);
  void perform(const core::FlushFlows& action);
  void perform(const core::CountFlows& action);
  /// Makes the table anew, since the time-out is part of its rules.
  void rebuild(core::Duration sticky_timeout);
  void remove();

  /// Why it cannot be used; empty: it can.
  const std::string& problem() const { return problem_; }
  std::uint64_t restored() const { return restored_; }
  std::uint64_t misses();
  std::map<core::Mark, io::NatCount> traffic();

 private:
  void foreign(const std::string& what);
  void restore();
  void try_again();

  Means means_;
  io::NatOptions options_;
  std::unique_ptr<io::NatKernel> nat_;
  std::unique_ptr<io::Conntrack> flows_;
  io::Alarm again_;
  std::string problem_ = "the kernel was not asked yet";
  bool read_ = false;  // what was there at the start is known
  core::Duration sticky_timeout_{};
  std::uint64_t restored_ = 0;
  // To limit how often.
  core::Time window_{};
  unsigned in_window_ = 0;
};

}  // namespace sentinel::app
