#include "faults.hpp"

#include <algorithm>

namespace sentinel::demo {

void Faults::start(Fault fault, TimePoint now, std::optional<Milliseconds> duration,
                   Milliseconds amount) {
  active_[static_cast<std::size_t>(fault)] = Active{
      .since = now, .until = duration ? now + *duration : TimePoint::max(), .amount = amount};
}

void Faults::recover() { active_.fill(std::nullopt); }

std::vector<Fault> Faults::expire(TimePoint now) {
  std::vector<Fault> ended;
  for (std::size_t index = 0; index < active_.size(); ++index) {
    if (active_[index] && active_[index]->until <= now) {
      active_[index].reset();
      ended.push_back(static_cast<Fault>(index));
    }
  }
  return ended;
}

std::optional<Faults::TimePoint> Faults::next_expiry() const {
  std::optional<TimePoint> next;
  for (const auto& fault : active_) {
    if (fault && fault->until != TimePoint::max()) {
      next = std::min(next.value_or(TimePoint::max()), fault->until);
    }
  }
  return next;
}

const Faults::Active* Faults::find(Fault fault, TimePoint now) const {
  const auto& active = active_[static_cast<std::size_t>(fault)];
  return active && now < active->until ? &*active : nullptr;
}

bool Faults::is_on(Fault fault, TimePoint now) const { return find(fault, now) != nullptr; }

std::optional<Faults::TimePoint> Faults::end_of(Fault fault, TimePoint now) const {
  const auto* active = find(fault, now);
  return active != nullptr ? std::optional{active->until} : std::nullopt;
}

Health Faults::health(TimePoint now) const {
  if (is_on(Fault::unhealthy, now)) {
    return Health::fail;
  }
  if (const auto* flap = find(Fault::flap, now)) {
    const auto half = std::max(flap->amount / 2, Milliseconds{1});
    if ((now - flap->since) / half % 2 == 0) {
      return Health::fail;
    }
  }
  const bool warns =
      is_on(Fault::degraded, now) || is_on(Fault::slow, now) || is_on(Fault::leak, now);
  return warns ? Health::warn : Health::pass;
}

Faults::Milliseconds Faults::delay(TimePoint now) const {
  const auto* slow = find(Fault::slow, now);
  return slow != nullptr ? slow->amount : Milliseconds{0};
}

std::string Faults::describe(TimePoint now) const {
  std::string text;
  for (std::size_t index = 0; index < active_.size(); ++index) {
    if (is_on(static_cast<Fault>(index), now)) {
      text += text.empty() ? "" : ", ";
      text += fault_names[index];
    }
  }
  return text.empty() ? "none" : text;
}

}  // namespace sentinel::demo
