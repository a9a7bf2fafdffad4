#include "app/failover_kernel.hpp"

#include <algorithm>

#include "protocol/escape.hpp"

namespace sentinel::app {

namespace {

using observe::LogLevel;

// Somebody who removes our rules as often as we restore them shall not keep two processes busy.
constexpr unsigned max_restores = 20;
constexpr core::Duration restore_window = std::chrono::seconds{10};
constexpr core::Duration retry_time = std::chrono::seconds{1};

std::string text_of(const io::Error& error) { return protocol::one_line(error.text, 300); }

}  // namespace

FailoverKernel::FailoverKernel(Means means, io::NatOptions options)
    : means_{std::move(means)},
      options_{std::move(options)},
      again_{means_.context, [this] { try_again(); }} {}

std::expected<void, std::string> FailoverKernel::open() {
  auto nat = io::NatKernel::open(options_);
  if (!nat)
    return std::unexpected("the kernel's NAT tables cannot be used: " + text_of(nat.error()) +
                           "; `sentinel failover --preflight` says what is missing");
  nat_ = std::move(*nat);
  // Before the table is read: no change is missed between the two.
  const auto watched =
      nat_->watch(means_.context, [this](const std::string& what) { foreign(what); });
  if (!watched)
    return std::unexpected("changes of others to the rules cannot be seen: " +
                           text_of(watched.error()));
  auto flows = io::Conntrack::open();
  if (!flows)
    return std::unexpected("the kernel's connections cannot be used: " + text_of(flows.error()) +
                           "; `sentinel failover --preflight` says what is missing");
  flows_ = std::make_unique<io::Conntrack>(*std::move(flows));
  return {};
}

void FailoverKernel::read(core::Duration sticky_timeout) {
  sticky_timeout_ = sticky_timeout;
  auto found = nat_->load();
  if (!found) {
    problem_ = "the kernel's table cannot be read: " + text_of(found.error());
    means_.log.error("sentinel.failover.kernel", problem_);
    again_.set(io::now() + retry_time);
    return;
  }
  core::NatTable table;
  if (*found && (*found)->sticky_timeout == sticky_timeout) {
    table = std::move(**found);
  } else {
    // None, or one that rules of this version cannot use. What it held, as far as it can be told.
    if (*found)
      table = std::move(**found);
    else
      table = means_.table();
    table.sticky_timeout = sticky_timeout;
    if (const auto made = nat_->create(table); !made) {
      problem_ = "the kernel's table cannot be made: " + text_of(made.error());
      means_.log.error("sentinel.failover.kernel", problem_);
      again_.set(io::now() + retry_time);
      return;
    }
  }
  problem_.clear();
  read_ = true;
  means_.deliver(core::NatRead{std::move(table)});
}

void FailoverKernel::try_again() {
  // An empty table in the place of one that could not be read would break what works.
  if (read_)
    restore();
  else
    read(sticky_timeout_);
}

void FailoverKernel::perform(const core::ApplyNat& action) {
  const auto done = nat_->apply(action.changes);
  const core::Duration took = done ? done->took : core::Duration{};
  means_.counts.applied(took, action.changes.size(), done.has_value());
  if (done && means_.log.enabled(LogLevel::debug))
    means_.log.write(
        {LogLevel::debug,
         "sentinel.failover.swap",
         action.reason + ": " + std::to_string(action.changes.size()) + " changes in the kernel",
         {{"changes", static_cast<std::int64_t>(action.changes.size())},
          {"took_us", static_cast<std::int64_t>(took.count() / 1000)}}});
  means_.deliver(core::NatDone{action.batch, done.has_value(),
                               done ? std::string{} : text_of(done.error()), took});
}

void FailoverKernel::perform(const core::ReadNat&) {
  auto found = nat_->load();
  if (found && *found) {
    problem_.clear();
    means_.deliver(core::NatRead{std::move(**found)});
    return;
  }
  // Gone or damaged: the confirmed one again.
  restore();
}

void FailoverKernel::perform(const core::FlushFlows& action) {
  std::uint64_t flows = 0;
  const core::Time begin = io::now();
  std::string error;
  for (const core::MarkBlock& block : action.blocks) {
    const auto ended = flows_->flush(block);
    if (ended)
      flows += ended->flows;
    else
      error = text_of(ended.error());
  }
  const core::Duration took = io::now() - begin;
  means_.counts.flushed(flows, took);
  means_.deliver(core::FlowsFlushed{action.flush, error.empty(), flows, took, error});
}

void FailoverKernel::perform(const core::CountFlows& action) {
  // One walk for all servers.
  const auto counts = flows_->counts({core::mark_base, core::mark_base_mask});
  core::FlowsCounted answer;
  if (counts) {
    for (const core::MarkBlock& block : action.blocks) {
      std::uint64_t open = 0;
      for (auto it = counts->lower_bound(block.value);
           it != counts->end() && (it->first & block.mask) == block.value; ++it)
        open += it->second.open;
      answer.counts.push_back({block, open});
    }
  }
  means_.deliver(std::move(answer));
}

void FailoverKernel::foreign(const std::string& what) {
  const core::Time now = io::now();
  if (now - window_ >= restore_window) {
    window_ = now;
    in_window_ = 0;
  }
  means_.log.warning("sentinel.failover.kernel",
                     "somebody else changed our rules (" + protocol::one_line(what, 200) + ")");
  if (!read_) return;  // the one that is to be read is asked for again by itself
  if (++in_window_ > max_restores) {
    problem_ = "somebody else changes our rules again and again";
    again_.set(window_ + restore_window);
    return;
  }
  restore();
}

void FailoverKernel::restore() {
  core::NatTable table = means_.table();
  table.sticky_timeout = sticky_timeout_;
  const auto made = nat_->create(table);
  if (!made) {
    problem_ = "the rules cannot be restored: " + text_of(made.error());
    means_.log.error("sentinel.failover.kernel", problem_ + "; tried again in 1 s");
    again_.set(io::now() + retry_time);
    return;
  }
  ++restored_;
  problem_.clear();
  means_.log.write({LogLevel::info,
                    "sentinel.failover.kernel",
                    "the rules are in place again",
                    {{"took_us", static_cast<std::int64_t>(made->took.count() / 1000)}}});
  means_.deliver(core::NatRead{std::move(table)});
}

void FailoverKernel::rebuild(core::Duration sticky_timeout) {
  sticky_timeout_ = sticky_timeout;
  if (!read_) return;
  core::NatTable table = means_.table();
  table.sticky_timeout = sticky_timeout;
  if (const auto made = nat_->create(table); !made) {
    problem_ = "the rules cannot be made anew: " + text_of(made.error());
    means_.log.error("sentinel.failover.kernel", problem_ + "; tried again in 1 s");
    again_.set(io::now() + retry_time);
    return;
  }
  means_.log.info("sentinel.failover.kernel", "the rules were made anew, with another time-out");
}

void FailoverKernel::remove() {
  if (const auto gone = nat_->remove(); !gone)
    means_.log.error("sentinel.failover.kernel",
                     "the rules cannot be removed: " + text_of(gone.error()));
}

std::uint64_t FailoverKernel::misses() { return nat_ ? nat_->misses().value_or(0) : 0; }

std::map<core::Mark, io::NatCount> FailoverKernel::traffic() {
  return nat_ ? nat_->counts().value_or(std::map<core::Mark, io::NatCount>{})
              : std::map<core::Mark, io::NatCount>{};
}

}  // namespace sentinel::app
