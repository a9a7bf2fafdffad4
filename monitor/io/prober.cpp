#include "io/prober.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/intrusive/set.hpp>
#include <chrono>
#include <deque>
#include <format>
#include <unordered_map>
#include <utility>
#include <vector>

#include "io/probe_dns.hpp"
#include "io/probe_http.hpp"
#include "io/probe_icmp.hpp"
#include "io/probe_means.hpp"
#include "io/probe_smtp.hpp"
#include "io/probe_tcp.hpp"
#include "io/probe_text.hpp"
#include "io/runtime.hpp"

namespace sentinel::io {

namespace asio = boost::asio;
namespace intrusive = boost::intrusive;
using core::ProbeReason;
using core::Verdict;

namespace {

constexpr std::size_t kept_runs = 1024;  // idle ones, per kind
constexpr unsigned descriptors_per_run = 2;
constexpr core::Duration shortest_timeout = std::chrono::milliseconds{1};
constexpr core::Duration longest_timeout = std::chrono::hours{1};

/// Raises the soft limit on open files as far as `wanted` runs need and the hard limit allows.
unsigned places(unsigned wanted, unsigned reserve) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::min(wanted, 256U);
  const rlim_t needed = rlim_t{wanted} * descriptors_per_run + reserve;
  if (limit.rlim_cur < needed && limit.rlim_cur < limit.rlim_max) {
    rlimit raised = limit;
    raised.rlim_cur = std::min(needed, limit.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  // On a very low limit half of it is ours.
  const rlim_t kept = std::min<rlim_t>(reserve, limit.rlim_cur / 2);
  const rlim_t possible = (limit.rlim_cur - kept) / descriptors_per_run;
  return static_cast<unsigned>(std::clamp<rlim_t>(possible, 1, std::max(wanted, 1U)));
}

/// A pass that took longer than its budget is a warning. Several echo requests are spaced out: what
/// counts is how long a round trip takes.
void apply_budget(const core::ProbeSpec& spec, core::ProbeOutcome& outcome) {
  const auto took = spec.kind == core::ProbeKind::icmp ? outcome.phases.processing : outcome.took;
  if (spec.slow <= core::Duration{} || took <= spec.slow) return;
  if (outcome.verdict != Verdict::pass) return;
  outcome.verdict = Verdict::warn;
  outcome.reason = ProbeReason::slow;
  outcome.sentence = std::format("answered in {}, above its budget of {}", for_people(took),
                                 for_people(spec.slow));
}

}  // namespace

class Prober::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, ProberOptions options, Sink sink)
      : context_(context),
        options_(std::move(options)),
        sink_(std::move(sink)),
        alarm_(context, [this] { on_alarm(); }) {
    stats_.limit = places(options_.concurrency, options_.reserve);
  }
  ~Impl() { stop(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void set_kind(core::ProbeKind kind, Factory factory) {
    kinds_.at(static_cast<std::size_t>(kind)).factory = std::move(factory);
  }

  void perform(const core::StartProbe& probe) {
    if (stopped_) return;
    if (!kind(probe.spec->kind).factory) {
      refuse(probe.token,
             std::format("{} probes are not built", core::to_string(probe.spec->kind)));
    } else if (stats_.running < stats_.limit) {
      start(probe, probe.lag);
    } else if (waiting_.size() < options_.queue_limit) {
      waiting_.push_back({probe, now()});
    } else {
      ++stats_.overflowed;
      refuse(probe.token, "too many probes are waiting");
    }
  }

  void stop();

  ProberStats stats() const {
    auto result = stats_;
    result.waiting = waiting_.size();
    return result;
  }

 private:
  struct Waiting {
    core::StartProbe probe;
    core::Time since;
  };

  /// A place for one run. Ordered by its deadline while it runs.
  struct Slot : intrusive::set_base_hook<> {
    Impl* owner = nullptr;
    std::unique_ptr<ProbeRun> run;
    core::ProbeKind kind = core::ProbeKind::http;
    core::ProbeToken token;
    std::shared_ptr<const core::ProbeSpec> spec;
    core::Time begun{};
    core::Time due{};
  };
  struct ByDue {
    bool operator()(const Slot& a, const Slot& b) const { return a.due < b.due; }
  };
  struct Kind {
    Factory factory;
    std::vector<std::unique_ptr<Slot>> idle;
  };

  Kind& kind(core::ProbeKind which) { return kinds_.at(static_cast<std::size_t>(which)); }

  void start(const core::StartProbe& probe, core::Duration lag);
  void measure(core::Duration lag);
  std::unique_ptr<Slot> take(core::ProbeKind which);
  void finished(Slot& slot, core::ProbeOutcome outcome);
  void on_alarm();

  /// Our own inability, told later: perform() never calls the sink.
  void refuse(const core::ProbeToken& token, std::string sentence) {
    asio::post(context_,
               [self = shared_from_this(), token, sentence = std::move(sentence)]() mutable {
                 self->deliver(token, failed(ProbeReason::internal, std::move(sentence)));
               });
  }

  void deliver(const core::ProbeToken& token, core::ProbeOutcome outcome) {
    if (stopped_) return;
    ++stats_.finished;
    ++on_stack_;
    sink_({.token = token, .outcome = std::move(outcome)});
    --on_stack_;
  }

  asio::io_context& context_;
  ProberOptions options_;
  Sink sink_;
  ProberStats stats_;
  bool stopped_ = false;
  unsigned on_stack_ = 0;  // calls of the sink, by runs that must not be destroyed meanwhile
  std::array<Kind, core::all_probe_kinds.size()> kinds_;
  std::deque<Waiting> waiting_;
  intrusive::multiset<Slot, intrusive::compare<ByDue>> running_;  // owned: finished() or stop()
  Alarm alarm_;
  core::Time armed_ = core::never;
};

void Prober::Impl::measure(core::Duration lag) {
  const auto seconds = core::in_seconds(lag);
  const auto bucket =
      std::ranges::lower_bound(probe_lag_bounds, seconds) - probe_lag_bounds.begin();
  ++stats_.lag_buckets.at(static_cast<std::size_t>(bucket));
  stats_.lag_sum += lag;
  stats_.lag_max = std::max(stats_.lag_max, lag);
}

std::unique_ptr<Prober::Impl::Slot> Prober::Impl::take(core::ProbeKind which) {
  auto& idle = kind(which).idle;
  if (!idle.empty()) {
    auto slot = std::move(idle.back());
    idle.pop_back();
    return slot;
  }
  auto slot = std::make_unique<Slot>();
  slot->owner = this;
  slot->kind = which;
  slot->run = kind(which).factory();
  return slot;
}

void Prober::Impl::start(const core::StartProbe& probe, core::Duration lag) {
  measure(lag);
  auto taken = take(probe.spec->kind);
  Slot& slot = *taken;
  slot.token = probe.token;
  slot.spec = probe.spec;
  slot.begun = now();
  slot.due = slot.begun + std::clamp(probe.spec->timeout, shortest_timeout, longest_timeout);
  running_.insert(*taken.release());
  ++stats_.running;
  // Deadlines that are over before their time leave the timer as it is: it may come too early.
  if (slot.due < armed_) {
    armed_ = slot.due;
    alarm_.set(armed_);
  }
  slot.run->begin(
      {.spec = probe.spec, .address = probe.address, .container = probe.container},
      [&slot](core::ProbeOutcome outcome) { slot.owner->finished(slot, std::move(outcome)); });
}

void Prober::Impl::finished(Slot& slot, core::ProbeOutcome outcome) {
  const auto self = shared_from_this();  // the sink may end us
  const auto ended = now();
  running_.erase(running_.iterator_to(slot));
  --stats_.running;
  std::unique_ptr<Slot> owned(&slot);
  outcome.took = ended - slot.begun;
  apply_budget(*slot.spec, outcome);
  const auto token = slot.token;
  slot.spec.reset();
  auto& idle = kind(slot.kind).idle;
  if (idle.size() < kept_runs) {
    idle.push_back(std::move(owned));
  } else {
    asio::post(context_, [owned = std::move(owned)] {});  // not while it is on the stack
  }
  if (!waiting_.empty()) {
    const auto next = std::move(waiting_.front());
    waiting_.pop_front();
    start(next.probe, next.probe.lag + (ended - next.since));
  }
  deliver(token, std::move(outcome));
}

void Prober::Impl::on_alarm() {
  const auto self = shared_from_this();
  armed_ = core::never;
  const auto time = now();
  while (!stopped_ && !running_.empty() && running_.begin()->due <= time) {
    Slot& slot = *running_.begin();
    finished(slot, slot.run->timed_out());
  }
  if (stopped_ || running_.empty() || running_.begin()->due >= armed_) return;
  armed_ = running_.begin()->due;
  alarm_.set(armed_);
}

void Prober::Impl::stop() {
  if (stopped_) return;
  stopped_ = true;
  alarm_.set(std::nullopt);
  waiting_.clear();
  stats_.running = 0;
  // One of them may be on the stack, telling the sink; else they go now.
  std::vector<std::unique_ptr<Slot>> gone;
  running_.clear_and_dispose([&gone](Slot* slot) {
    slot->run->abandon();
    gone.emplace_back(slot);
  });
  for (auto& known : kinds_) std::ranges::move(known.idle, std::back_inserter(gone));
  for (auto& known : kinds_) known.factory = nullptr;
  if (on_stack_ > 0) asio::post(context_, [gone = std::move(gone)] {});
}

Prober::Prober(asio::io_context& context, ProberOptions options, Sink sink) {
  const auto means = std::make_shared<ProbeMeans>(context, options);
  impl_ = std::make_shared<Impl>(context, std::move(options), std::move(sink));
  set_kind(core::ProbeKind::http, http_runs(means));
  set_kind(core::ProbeKind::tcp, [means] { return make_tcp_run(means); });
  set_kind(core::ProbeKind::tls, [means] { return make_tcp_run(means); });
  set_kind(core::ProbeKind::dns, [means] { return make_dns_run(means); });
  set_kind(core::ProbeKind::smtp, [means] { return make_smtp_run(means); });
  set_kind(core::ProbeKind::icmp, icmp_runs(means));
}

Prober::~Prober() { stop(); }

void Prober::set_kind(core::ProbeKind kind, Factory factory) {
  impl_->set_kind(kind, std::move(factory));
}

void Prober::perform(const core::StartProbe& probe) { impl_->perform(probe); }

void Prober::stop() { impl_->stop(); }

ProberStats Prober::stats() const { return impl_->stats(); }

}  // namespace sentinel::io
