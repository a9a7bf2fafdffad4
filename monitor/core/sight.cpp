#include "core/sight.hpp"

#include <algorithm>

namespace sentinel::core {
namespace {

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.") ||
         host.ends_with(".localhost");
}

}  // namespace

Sight::Host* Sight::attach(const ProbeSpec& spec, bool witness) {
  if (spec.host.empty() || is_loopback(spec.host) || spec.interval > window) return nullptr;
  Host& host = hosts_[spec.host];
  host.name = spec.host;
  ++host.probes;
  if (witness && !host.witness) {
    host.witness = true;
    ++witnesses_;
  }
  return &host;
}

void Sight::detach(Host* host) {
  if (host == nullptr || --host->probes > 0) return;
  std::erase_if(recently_lost_, [&](const auto& entry) { return entry.second == host; });
  if (host->lost) --lost_;
  if (host->counted == suspicion_ && host->lost && lost_in_ > 0) {
    --lost_in_;
    if (host->witness && witnesses_in_ > 0) --witnesses_in_;
  }
  if (host->witness) --witnesses_;
  hosts_.erase(std::string{host->name});
}

bool Sight::is_loss(ProbeReason reason) const {
  switch (reason) {
    case ProbeReason::resolve:
    case ProbeReason::unreachable:
    case ProbeReason::internal: return true;
    case ProbeReason::timeout: return witnesses_ > 0;
    default: return false;
  }
}

bool Sight::waits(const Host& host, Time now) const {
  return state_ == State::suspecting && host.lost && now - host.lost_at < window;
}

bool Sight::holds(const Host& host, Time now) const {
  if (state_ == State::blind || waits(host, now)) return true;
  return state_ == State::seeing && ended_ != Time::min() && now - ended_ < window && host.lost &&
         host.lost_at < ended_;
}

void Sight::suspect(Time now) {
  state_ = State::suspecting;
  since_ = now;
  ++suspicion_;
  lost_in_ = good_in_ = 0;
  witnesses_in_ = 0;
  for (const auto& [at, host] : recently_lost_) {
    if (host->lost && host->counted != suspicion_) count_lost(*host);
  }
}

void Sight::count_lost(Host& host) {
  if (host.counted == suspicion_) --good_in_;  // answered once in it, now lost as well
  host.counted = suspicion_;
  ++lost_in_;
  if (host.witness) ++witnesses_in_;
}

bool Sight::by_witnesses() const {
  return witnesses_ > 0 && witnesses_in_ == witnesses_ && lost_in_ > witnesses_in_;
}

bool Sight::evident() const {
  if (by_witnesses()) return true;
  const std::size_t base = hosts_.size() - (lost_ - std::min(lost_, lost_in_));
  return lost_in_ >= min_hosts && lost_in_ * 100 >= base * lost_percent;
}

Sight::Change Sight::see(Time now) {
  state_ = State::seeing;
  ended_ = now;
  return Change::regained;
}

Sight::Change Sight::add(Host& host, ProbeReason reason, Verdict verdict, Time began, Time now) {
  while (!recently_lost_.empty() && now - recently_lost_.front().first >= window)
    recently_lost_.pop_front();
  if (verdict != Verdict::fail || !is_loss(reason)) {
    // Without witnesses a time-out says nothing either way.
    if (verdict == Verdict::fail && reason == ProbeReason::timeout) return Change::none;
    if (host.lost && began >= host.lost_at) {
      host.lost = false;
      --lost_;
      if (state_ == State::suspecting && host.counted == suspicion_ && lost_in_ > 0) {
        --lost_in_;
        if (host.witness && witnesses_in_ > 0) --witnesses_in_;
        ++good_in_;
      }
    }
    if (state_ == State::suspecting && began >= since_) {
      if (host.counted != suspicion_) {
        host.counted = suspicion_;
        ++good_in_;
      }
      if (good_in_ * 100 > hosts_.size() * (100 - lost_percent)) {
        state_ = State::seeing;
        return Change::cleared;
      }
    } else if ((state_ == State::blind || state_ == State::exhausted) && began >= since_) {
      if (host.returned != blindness_) {
        host.returned = blindness_;
        ++returned_;
      }
      if ((by_witness_ && host.witness) || returned_ * 2 >= lost_then_) return see(now);
    }
    return Change::none;
  }
  if (host.lost) return Change::none;
  host.lost = true;
  host.lost_at = now;
  ++lost_;
  recently_lost_.emplace_back(now, &host);
  if (state_ == State::blind || state_ == State::exhausted || !possible()) return Change::none;
  if (state_ == State::seeing)
    suspect(now);
  else
    count_lost(host);
  if (!evident()) return Change::none;
  by_witness_ = by_witnesses();
  account_ = by_witness_ && lost_in_ < min_hosts
                 ? "neither the witnesses nor " + std::to_string(lost_in_ - witnesses_in_) +
                       " other hosts can be reached"
                 : std::to_string(lost_in_) + " of " + std::to_string(hosts_.size()) +
                       " hosts cannot be resolved or reached";
  state_ = State::blind;
  since_ = now;
  ++blindness_;
  lost_then_ = lost_in_;
  returned_ = 0;
  return Change::blinded;
}

Sight::Change Sight::settle(Time now) {
  if (state_ == State::suspecting && now - since_ >= window) {
    state_ = State::seeing;
    return Change::cleared;
  }
  if (state_ == State::blind && now - since_ >= limit_) {
    state_ = State::exhausted;
    return Change::exhausted;
  }
  return Change::none;
}

std::optional<Time> Sight::due() const {
  if (state_ == State::suspecting) return after(since_, window);
  if (state_ == State::blind) return after(since_, limit_);
  return std::nullopt;
}

}  // namespace sentinel::core
