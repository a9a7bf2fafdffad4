#include "sim/alert_world.hpp"

#include <algorithm>

namespace sentinel::sim {

using namespace std::chrono_literals;
using core::Delivery;
using core::Duration;
using core::MessageKind;
using core::SendResult;
using core::Time;

void AlertWorld::on(core::AlertEvent event) {
  queue_.push_back(std::move(event));
  if (busy_) return;
  busy_ = true;
  while (!queue_.empty() && up_) {
    core::AlertActions out;
    core::AlertEvent next = std::move(queue_.front());
    queue_.pop_front();
    ++outcome_.events;
    core_->on(std::move(next), {now_, wall_}, out);
    for (auto& action : out) std::visit([this](auto& a) { perform(a); }, action);
  }
  queue_.clear();
  busy_ = false;
}

void AlertWorld::fail(std::string what) {
  if (!outcome_.failure.empty()) return;
  const auto s = std::chrono::floor<std::chrono::milliseconds>(now_.time_since_epoch()).count();
  outcome_.failure = "at " + std::to_string(s) + " ms: " + std::move(what);
}

void AlertWorld::at(Duration in, Step step, bool outlives) {
  schedule_.emplace(now_ + in, Due{outlives ? 0 : life_, std::move(step)});
}

void AlertWorld::advance(Time to) {
  wall_ += std::chrono::floor<std::chrono::milliseconds>(to - now_);
  now_ = to;
}

void AlertWorld::run_for(Duration span) {
  const Time end = now_ + span;
  while (outcome_.failure.empty()) {
    Time next = core::never;
    if (!schedule_.empty()) next = schedule_.begin()->first;
    const auto deadline = up_ ? core_->next_deadline() : std::nullopt;
    if (deadline && *deadline < next) {
      if (*deadline > end) break;
      if (*deadline > now_) advance(*deadline);
      on(core::AlertTick{});
      const auto after = core_->next_deadline();
      if (after && *after <= now_) fail("a deadline is not served");
      continue;
    }
    if (next > end) break;
    advance(std::max(now_, next));
    const Due due = std::move(schedule_.begin()->second);
    schedule_.erase(schedule_.begin());
    if (due.life == 0 || (up_ && due.life == life_)) due.step();
  }
  if (now_ < end) advance(end);
}

// --- the journal
// ---------------------------------------------------------------------------------

void AlertWorld::write(Write what) {
  Duration takes = within(10ms);
  if (disk_slow_ && random_.chance(100'000)) takes = within(1s);
  disk_free_ = std::max(disk_free_, now_ + takes);
  at(disk_free_ - now_, std::move(what));
}

void AlertWorld::perform(core::StoreIncident& a) {
  write([this, incident = std::move(a.incident)] { incidents_[incident.id] = incident; });
}

void AlertWorld::perform(core::StoreDelivery& a) {
  const std::uint64_t id = a.delivery.id;
  if (to_be_kept_.emplace(id, now_).second && !kept_once_.contains(id)) check_made(a.delivery);
  if (a.delivery.dead) {
    ++outcome_.dead;
    for (const auto& cover : a.delivery.covers) dead_.emplace(a.delivery.receiver, cover.incident);
  }
  write([this, delivery = std::move(a.delivery)] {
    const auto [key, first] = key_of_.emplace(delivery.id, delivery.key);
    if (!first && key->second != delivery.key) fail("an id was used twice");
    kept_once_.insert(delivery.id);
    unkept_.erase(delivery.id);
    next_delivery_ = std::max(next_delivery_, delivery.id + 1);
    deliveries_[delivery.id] = delivery;
    on(core::DeliveryStored{delivery.id, true});
  });
}

void AlertWorld::perform(core::ForgetDelivery& a) {
  write([this, id = a.id] { deliveries_.erase(id); });
}
void AlertWorld::perform(core::StoreSilence& a) {
  write([this, silence = a.silence] { silences_[silence.id] = silence; });
}
void AlertWorld::perform(core::ForgetSilence& a) {
  write([this, id = a.id] { silences_.erase(id); });
}

void AlertWorld::perform(core::GatherEvidence& a) {
  at(within(15s),
     [this, a] { on(core::EvidenceGathered{a.subject, a.incident, "the last line"}); });
}

void AlertWorld::perform(core::AlertNotice& a) {
  if (a.kind == core::AlertNoticeKind::incident_opened) ++outcome_.incidents;
  if (a.kind == core::AlertNoticeKind::incident_joined) ++outcome_.joined;
  if (a.kind == core::AlertNoticeKind::suppressed) ++outcome_.suppressed;
}

// --- receivers
// -----------------------------------------------------------------------------------

/// A delivery that was just made.
void AlertWorld::check_made(const Delivery& d) {
  Receiver& receiver = receivers_.at(d.receiver);
  const auto config = std::ranges::find(config_.receivers, d.receiver, &core::AlertReceiver::name);
  if (config == config_.receivers.end()) return fail("a message for nobody: " + d.receiver);
  if (d.message.items.empty()) return fail("an empty message");
  if (d.message.kind == MessageKind::digest) {
    ++outcome_.digests;
    if (receiver.digest && now_ - *receiver.digest < 10min) fail("two digests: " + d.receiver);
    receiver.digest = now_;
  } else if (!config->stateful) {
    std::erase_if(receiver.made, [&](Time t) { return now_ - t >= 10min; });
    receiver.made.push_back(now_);
    if (receiver.made.size() > config->rate) fail("more messages than promised: " + d.receiver);
  }
  if (d.message.kind == MessageKind::resolved || d.message.kind == MessageKind::digest) return;
  for (const auto& item : d.message.items) {
    const auto root = index_.find(item.incident.root);
    if (root != index_.end() && things_[root->second].maintenance)
      fail("told of what is maintained: " + item.incident.root.to_string());
    for (const auto& silence : core_->silences()) {
      if (silence.begins <= wall_ && wall_ < silence.ends && matches(silence.match, item.labels))
        fail("told of what is silenced: " + item.incident.root.to_string());
    }
  }
}

void AlertWorld::perform(core::Send& a) {
  const auto kind = a.delivery.message.kind;
  const auto asked = to_be_kept_.find(a.delivery.id);
  const bool kept = deliveries_.contains(a.delivery.id);
  const bool refresh = !kept && asked == to_be_kept_.end();
  if (refresh && kind != MessageKind::reminder && kind != MessageKind::resolved)
    return fail("attempted and never to be kept");
  if (!refresh && !kept && now_ < asked->second + 250ms)
    return fail("attempted before it was kept");
  Receiver& receiver = receivers_.at(a.delivery.receiver);
  if (++receiver.in_flight > 4) fail("too many at once: " + a.delivery.receiver);
  core::Sent answer;
  answer.id = a.delivery.id;
  answer.took = within(2s);
  bool taken = false;
  bool answered = true;
  switch (receiver.mood) {
    case Mood::fine:
      answer.result = SendResult::accepted;
      taken = true;
      break;
    case Mood::failing: break;
    case Mood::busy: answer.retry_after = within(2min); break;
    case Mood::stalling: answered = random_.chance(500'000); break;
    case Mood::ambiguous:
      taken = true;
      answered = random_.chance(500'000);
      break;
    case Mood::refusing:
      if (random_.chance(200'000)) answer.result = SendResult::permanent;
      break;
  }
  // Taken at once, also when the process dies before it hears so.
  if (taken) accept(a.delivery);
  const Duration until = answered ? answer.took : 15s;
  at(until, [this, answer, answered, &receiver] {
    if (receiver.in_flight > 0) --receiver.in_flight;
    if (answered) on(answer);
  });
}

void AlertWorld::accept(const Delivery& d) {
  ++outcome_.accepted;
  check_heard(receivers_.at(d.receiver), d);
}

void AlertWorld::check_heard(Receiver& receiver, const Delivery& d) {
  const bool stored = kept_once_.contains(d.id);
  if (stored && d.message.kind != MessageKind::digest) {
    const auto& first = d.message.items.front().incident;
    const auto [known, added] =
        content_.emplace(d.key, std::pair{first.id, first.ended.has_value()});
    if (!added && known->second != std::pair{first.id, first.ended.has_value()})
      fail("one key, two contents: " + d.key);
  }
  const bool copy = !receiver.keys.insert(d.key).second;
  if (copy) ++outcome_.copies;
  const auto hear = [&](const std::string& incident, std::uint64_t sequence, bool ended) {
    auto& heard = receiver.heard[incident];
    if (!ended) receiver.began.insert(incident);
    // What was attempted without being kept is made anew after a crash, and may differ; or is
    // over by then and never made again.
    if (!stored && to_be_kept_.contains(d.id)) {
      loose_.emplace(d.receiver, incident);
      unkept_[d.id].emplace_back(d.receiver, incident);
    }
    const bool loose = loose_.contains({d.receiver, incident});
    heard.second = heard.second || ended;
    if (loose) return;
    // A copy comes when a crash took the note that the first was accepted; those behind it follow.
    if (sequence < heard.first && stored && !copy)
      fail("the order is lost: " + d.key + " at " + d.receiver);
    if (heard.second && !ended && !copy) fail("told after its end: " + d.key);
    heard.first = std::max(heard.first, sequence);
  };
  std::set<std::string> named;
  for (const auto& item : d.message.items) {
    named.insert(item.incident.id);
    hear(item.incident.id, item.incident.sequence, item.incident.ended.has_value());
  }
  for (const auto& cover : d.covers) {
    if (!named.contains(cover.incident))
      hear(cover.incident, cover.told.sequence, cover.told.ended);
  }
}

}  // namespace sentinel::sim
