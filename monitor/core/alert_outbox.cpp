// Deliveries on their way: stored, attempted, repeated, given up.

#include <algorithm>

#include "core/alert_impl.hpp"

namespace sentinel::core {

using Impl = AlertCore::Impl;
using State = AlertParcel::State;

namespace {

constexpr Duration store_patience = 250ms;
constexpr Duration answer_patience = 15s;
constexpr Duration backoff_least = 1s;
constexpr Duration retry_after_most = 1h;
constexpr Duration retry_after_absurd = 24h;
constexpr Duration give_up_after = 24h;
// While it works. One that fails is tried with one.
constexpr unsigned max_in_flight = 4;
constexpr std::size_t max_error = 512;

AlertNotice notice_of(const Delivery& delivery) {
  AlertNotice out;
  out.kind = AlertNoticeKind::accepted;
  out.receiver = delivery.receiver;
  out.delivery = delivery.id;
  if (!delivery.covers.empty()) out.incident = delivery.covers.front().incident;
  return out;
}

}  // namespace

AlertParcel& Impl::post(Delivery delivery, AlertRoom& receiver, bool refresh) {
  delivery.id = next_delivery_++;
  const std::uint64_t id = delivery.id;
  AlertParcel& parcel = *(parcels_[id] = std::make_unique<AlertParcel>());
  parcel.delivery = std::move(delivery);
  parcel.receiver = &receiver;
  parcel.refresh = refresh;
  parcel.changed = now_;
  parcel.give_up = after(now_, give_up_after);
  link(parcel);
  if (refresh) {
    ready(parcel);
  } else {
    store(parcel);
  }
  return parcel;
}

void Impl::store(AlertParcel& parcel) {
  parcel.state = State::storing;
  parcel.due = after(now_, store_patience);
  deadlines_.set(handle_of(What::parcel, parcel.delivery.id), parcel.due);
  out_->emplace_back(StoreDelivery{parcel.delivery});
}

void Impl::ready(AlertParcel& parcel) {
  parcel.state = State::waiting;
  parcel.due = now_;
  deadlines_.erase(handle_of(What::parcel, parcel.delivery.id));
  to_pump_.insert(parcel.receiver->index);
}

void Impl::handle(const DeliveryStored& event) {
  const auto found = parcels_.find(event.id);
  if (found == parcels_.end()) return;
  AlertParcel& parcel = *found->second;
  if (event.durable && !parcel.durable) {
    parcel.durable = true;
    // Only now may the incidents say that it was told.
    for (const auto& cover : parcel.delivery.covers) {
      if (const auto e = by_ulid_.find(cover.incident); e != by_ulid_.end()) store(*e->second);
    }
  }
  if (parcel.state == State::storing) ready(parcel);
}

void Impl::parcel_due(AlertParcel& parcel) {
  if (parcel.state == State::storing) {
    ready(parcel);
  } else if (parcel.state == State::sending) {
    Sent lost;
    lost.id = parcel.delivery.id;
    lost.detail = "no answer within 15 s";
    lost.took = answer_patience;
    answered(parcel, lost);
  }
}

void Impl::pump(AlertRoom& receiver) {
  std::vector<AlertParcel*> waiting;
  for (const auto& [id, parcel] : receiver.parcels) {
    if (parcel->state == State::waiting) waiting.push_back(parcel);
  }
  std::ranges::sort(waiting, [](const AlertParcel* a, const AlertParcel* b) {
    return a->due != b->due ? a->due < b->due : a->delivery.id < b->delivery.id;
  });
  const auto is_next = [&](const AlertParcel& parcel) {
    return std::ranges::all_of(parcel.delivery.covers, [&](const DeliveryCover& cover) {
      return *receiver.by_incident.at(cover.incident).begin() == parcel.delivery.id;
    });
  };
  Time next = never;
  for (AlertParcel* parcel : waiting) {
    if (parcel->give_up <= now_) {
      bury(*parcel, "given up after 24 h: " + parcel->delivery.error);
      continue;
    }
    if (receiver.in_flight >= (receiver.failures > 0 ? 1U : max_in_flight)) continue;
    if (!is_next(*parcel)) continue;
    const Time at = std::max(parcel->due, receiver.not_before);
    if (at > now_) {
      next = std::min(next, at);
      continue;
    }
    ++receiver.in_flight;
    ++parcel->delivery.attempts;
    parcel->state = State::sending;
    parcel->due = after(now_, answer_patience);
    deadlines_.set(handle_of(What::parcel, parcel->delivery.id), parcel->due);
    out_->emplace_back(Send{parcel->delivery});
  }
  deadlines_.set(handle_of(What::pump, receiver.index), next);
}

void Impl::handle(const Sent& event) {
  const auto found = parcels_.find(event.id);
  if (found == parcels_.end()) return;
  AlertParcel& parcel = *found->second;
  // A late answer counts when it ends the matter.
  if (parcel.state == State::sending || event.result == SendResult::accepted)
    answered(parcel, event);
}

void Impl::answered(AlertParcel& parcel, const Sent& event) {
  AlertRoom* receiver = parcel.receiver;
  if (parcel.state == State::sending && receiver != nullptr) {
    --receiver->in_flight;
    to_pump_.insert(receiver->index);
  }
  deadlines_.erase(handle_of(What::parcel, parcel.delivery.id));
  Delivery& d = parcel.delivery;
  AlertNotice said = notice_of(d);
  said.reason = clipped(event.detail, max_error);
  said.took = event.took;
  if (event.result == SendResult::accepted) {
    said.latency = parcel.before + (now_ - parcel.changed);
    said.text = "accepted by " + d.receiver;
    if (receiver != nullptr) {
      receiver->failures = 0;
      receiver->last_error.clear();
      receiver->last_accepted = wall_;
    }
    if (!parcel.refresh) out_->emplace_back(std::move(said));
    forget(parcel);
    return;
  }
  d.error = said.reason;
  if (receiver != nullptr) receiver->last_error = d.error;
  if (event.result == SendResult::permanent) {
    parcel.state = State::waiting;
    bury(parcel, d.error);
    return;
  }
  const Duration most =
      receiver != nullptr ? receiver->config.longest_pause : AlertReceiver{}.longest_pause;
  Duration wait = backoff(d.attempts, most);
  Duration pause{};
  if (receiver != nullptr) pause = backoff(++receiver->failures, most);
  const Duration asked = event.retry_after.value_or(Duration{-1});
  if (asked >= Duration{} && asked <= retry_after_absurd) {
    wait = std::clamp(asked, backoff_least, retry_after_most);
    pause = wait;
  }
  if (receiver != nullptr)
    receiver->not_before = std::max(receiver->not_before, after(now_, pause));
  said.kind = AlertNoticeKind::retried;
  said.text = "attempt " + std::to_string(d.attempts) + " at " + d.receiver + " failed";
  out_->emplace_back(std::move(said));
  parcel.state = State::waiting;
  if (parcel.refresh) {
    forget(parcel);
    return;
  }
  parcel.due = std::min(after(now_, wait), std::max(now_, parcel.give_up));
  out_->emplace_back(StoreDelivery{d});
}

Duration Impl::backoff(unsigned attempts, Duration most) {
  Duration base = backoff_least;
  for (unsigned i = 1; i < attempts && base < most; ++i) base *= 2;
  base = std::min(base, most);
  return std::min(base / 2 + rng_.below(base), most);
}

void Impl::bury(AlertParcel& parcel, std::string error) {
  if (parcel.refresh) {
    forget(parcel);
    return;
  }
  deadlines_.erase(handle_of(What::parcel, parcel.delivery.id));
  parcel.state = State::dead;
  parcel.delivery.dead = wall_;
  parcel.delivery.error = clipped(error, max_error);
  ++dead_;
  AlertNotice said = notice_of(parcel.delivery);
  said.kind = AlertNoticeKind::dead;
  said.reason = parcel.delivery.error;
  said.text = "a message for " + parcel.delivery.receiver + " was given up";
  out_->emplace_back(StoreDelivery{parcel.delivery});
  out_->emplace_back(std::move(said));
  if (parcel.receiver != nullptr) {
    to_pump_.insert(parcel.receiver->index);
    unlink(parcel);
  }
  parcel.receiver = nullptr;
  if (dead_ <= max_dead) return;
  for (const auto& [id, oldest] : parcels_) {
    if (oldest->state != State::dead) continue;
    ++counters_.dead_dropped;
    forget(*oldest);
    return;
  }
}

void Impl::link(AlertParcel& parcel) {
  AlertRoom& receiver = *parcel.receiver;
  receiver.parcels[parcel.delivery.id] = &parcel;
  if (parcel.refresh) ++receiver.refreshes;
  for (const auto& cover : parcel.delivery.covers) {
    receiver.by_incident[cover.incident].insert(parcel.delivery.id);
    if (const auto e = by_ulid_.find(cover.incident); e != by_ulid_.end()) ++e->second->parcels;
  }
}

void Impl::unlink(AlertParcel& parcel) {
  AlertRoom& receiver = *parcel.receiver;
  receiver.parcels.erase(parcel.delivery.id);
  if (parcel.refresh) --receiver.refreshes;
  for (const auto& cover : parcel.delivery.covers) {
    const auto known = receiver.by_incident.find(cover.incident);
    known->second.erase(parcel.delivery.id);
    if (known->second.empty()) receiver.by_incident.erase(known);
    const auto e = by_ulid_.find(cover.incident);
    if (e == by_ulid_.end()) continue;
    --e->second->parcels;
    close_if_done(*e->second);
  }
}

void Impl::forget(AlertParcel& parcel) {
  const std::uint64_t id = parcel.delivery.id;
  deadlines_.erase(handle_of(What::parcel, id));
  if (parcel.state == State::dead) --dead_;
  if (!parcel.durable && !parcel.refresh) {
    // It was told all the same: to be known before it is forgotten.
    for (const auto& cover : parcel.delivery.covers) {
      if (const auto e = by_ulid_.find(cover.incident); e != by_ulid_.end()) store(*e->second);
    }
  }
  if (!parcel.refresh) out_->emplace_back(ForgetDelivery{id});
  if (parcel.receiver != nullptr) unlink(parcel);
  parcels_.erase(id);
}

void Impl::handle(const RetryDead& event) {
  const auto found = parcels_.find(event.id);
  if (found == parcels_.end() || found->second->state != State::dead) return;
  AlertParcel& parcel = *found->second;
  const auto receiver = receivers_.find(parcel.delivery.receiver);
  if (receiver == receivers_.end()) return;
  --dead_;
  parcel.receiver = receiver->second.get();
  parcel.delivery.dead.reset();
  parcel.give_up = after(now_, give_up_after);
  link(parcel);
  store(parcel);
}

void Impl::handle(const DropDead& event) {
  const auto found = parcels_.find(event.id);
  if (found != parcels_.end() && found->second->state == State::dead) forget(*found->second);
}

void Impl::adopt(AlertParcel& parcel) {
  const auto receiver = receivers_.find(parcel.delivery.receiver);
  if (receiver == receivers_.end()) return;
  parcel.receiver = receiver->second.get();
  link(parcel);
  ready(parcel);
}

void Impl::place_orphans() {
  std::vector<AlertParcel*> orphans;
  for (const auto& [id, parcel] : parcels_) {
    if (parcel->receiver == nullptr && parcel->state == State::waiting)
      orphans.push_back(parcel.get());
  }
  for (AlertParcel* parcel : orphans) {
    adopt(*parcel);
    if (parcel->receiver == nullptr) bury(*parcel, "the receiver is configured no more");
  }
}

}  // namespace sentinel::core
