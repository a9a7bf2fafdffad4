#include "core/ledger.hpp"

#include <algorithm>

namespace sentinel::core {

namespace {

// The largest budget: what people ask for beyond it adds nothing.
constexpr std::size_t most_marks = 100;

}  // namespace

Duration Ledger::clock(Time now) const {
  return since_ && now > *since_ ? elapsed_ + (now - *since_) : elapsed_;
}

void Ledger::run(bool healthy, Time now) {
  if (healthy == since_.has_value()) return;
  elapsed_ = clock(now);
  since_ = healthy ? std::optional{now} : std::nullopt;
}

unsigned Ledger::settle(const Budget& budget, Time now) {
  unsigned forgiven = 0;
  while (!marks_.empty() && clock(now) - marks_.front() >= budget.window) {
    marks_.pop_front();
    ++forgiven;
  }
  return forgiven;
}

void Ledger::charge(Time now) {
  marks_.push_back(clock(now));
  if (marks_.size() > most_marks) marks_.pop_front();
}

void Ledger::refund() {
  if (!marks_.empty()) marks_.pop_back();
}

unsigned Ledger::remaining(const Budget& budget) const {
  return used() >= budget.restarts ? 0 : budget.restarts - used();
}

std::optional<Time> Ledger::next_forgiveness(const Budget& budget, Time now) const {
  if (marks_.empty() || !since_) return std::nullopt;
  return after(now, std::max(Duration{}, marks_.front() + budget.window - clock(now)));
}

std::vector<Duration> Ledger::left(const Budget& budget, Time now) const {
  std::vector<Duration> out;
  out.reserve(marks_.size());
  for (const auto mark : marks_)
    out.push_back(std::max(Duration{}, mark + budget.window - clock(now)));
  return out;
}

void Ledger::restore(const std::vector<Duration>& left, const Budget& budget) {
  marks_.clear();
  for (const auto d : left)
    marks_.push_back(elapsed_ + std::clamp(d, Duration{}, budget.window) - budget.window);
  std::ranges::sort(marks_);
  while (marks_.size() > most_marks) marks_.pop_front();
}

Duration backoff_delay(const Backoff& backoff, unsigned used, Rng& rng) {
  if (used == 0) return Duration{};
  Duration base = backoff.min;
  for (unsigned i = 1; i < used && base < backoff.max; ++i)
    base = base > backoff.max / 2 ? backoff.max : base * 2;
  base = std::min(base, backoff.max);
  return std::clamp(base - base / 4 + rng.below(base / 2), backoff.min,
                    std::max(backoff.min, backoff.max));
}

}  // namespace sentinel::core
