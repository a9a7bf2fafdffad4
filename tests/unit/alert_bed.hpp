#pragma once

// An AlertCore, its journal and its receivers, for scripted cases: by default everything is stored
// and accepted at once; a script may hold or refuse either.

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert_core.hpp"

namespace sentinel::core {

inline Subject service(std::string name, std::string project = "shop") {
  return {SubjectKind::service, std::move(project), std::move(name), 1};
}
inline Subject server(std::string pool, std::string name) {
  return {SubjectKind::server, std::move(pool), std::move(name), 0};
}
inline Subject pool(std::string name) { return {SubjectKind::pool, std::move(name), {}, 0}; }
inline const Subject engine{SubjectKind::engine, {}, "engine", 0};

inline AlertConfig one_receiver(std::string name = "team") {
  AlertConfig config;
  config.host = "box";
  AlertReceiver receiver;
  receiver.name = name;
  config.receivers.push_back(receiver);
  AlertRoute route;
  route.receivers.push_back(name);
  config.routes.push_back(route);
  return config;
}

struct AlertBed {
  explicit AlertBed(const AlertConfig& with = one_receiver())
      : config(with), core(std::make_unique<AlertCore>(with)) {}

  // --- what the script says
  void on(AlertEvent event) {
    queue.push_back(std::move(event));
    if (busy) return;
    busy = true;
    while (!queue.empty()) {
      AlertActions out;
      AlertEvent next = std::move(queue.front());
      queue.pop_front();
      core->on(std::move(next), {now, wall}, out);
      for (auto& action : out) std::visit([this](auto& a) { act(a); }, action);
    }
    busy = false;
  }
  void fail(const Subject& subject, std::string text = "no answer",
            Severity severity = Severity::critical, std::string cause = "unreachable") {
    SubjectFailed fact;
    fact.subject = subject;
    fact.title = subject.name.empty() ? subject.group : subject.name;
    fact.severity = severity;
    fact.cause = std::move(cause);
    fact.text = std::move(text);
    on(fact);
  }
  void recover(const Subject& subject) { on(SubjectRecovered{subject, "it works again"}); }
  void needs(const Subject& subject, std::vector<Subject> needed) {
    on(SubjectNeeds{subject, std::move(needed)});
  }
  void overlays(const Subject& subject, bool maintenance, bool flapping) {
    on(SubjectOverlays{subject, maintenance, flapping});
  }
  /// Lets time pass, with all that falls due in it.
  void run(Duration span) {
    const Time end = now + span;
    while (true) {
      const auto next = core->next_deadline();
      if (!next || *next > end) break;
      step_to(std::max(*next, now));
      on(AlertTick{});
    }
    step_to(end);
  }
  /// Killed and started again with what the journal kept.
  void restart() {
    AlertsRestored restored;
    for (const auto& [id, incident] : incidents) {
      if (!incident.closed) restored.open.push_back(incident);
    }
    for (const auto& [id, delivery] : kept) restored.deliveries.push_back(delivery);
    for (const auto& [id, silence] : silences) restored.silences.push_back(silence);
    config.seed += 1;
    core = std::make_unique<AlertCore>(config);
    in_flight.clear();
    unstored.clear();
    on(std::move(restored));
  }
  Silence silence(std::string label, std::string value, Duration lasts) const {
    Silence out;
    out.match.push_back({std::move(label), Matcher::Op::equal, std::move(value)});
    out.begins = wall;
    out.ends = wall + std::chrono::floor<std::chrono::milliseconds>(lasts);
    return out;
  }

  // --- what came of it
  std::vector<Message> messages(MessageKind kind, std::string_view receiver = {}) const {
    std::vector<Message> out;
    for (const auto& delivery : accepted) {
      if (delivery.message.kind == kind && (receiver.empty() || delivery.receiver == receiver))
        out.push_back(delivery.message);
    }
    return out;
  }
  /// "firing web+2, resolved db": kinds, titles of the first item, how many more.
  std::string told(std::string_view receiver = {}) const {
    std::string out;
    for (const auto& delivery : accepted) {
      if (!receiver.empty() && delivery.receiver != receiver) continue;
      if (!out.empty()) out += ", ";
      out += to_string(delivery.message.kind);
      const auto& items = delivery.message.items;
      if (items.empty()) continue;
      out += " " + items.front().incident.title;
      const auto more = items.size() - 1 + delivery.message.more;
      if (more > 0) out += "+" + std::to_string(more);
    }
    return out;
  }
  std::size_t suppressed(std::string_view reason) const {
    return static_cast<std::size_t>(std::ranges::count_if(notices, [&](const AlertNotice& n) {
      return n.kind == AlertNoticeKind::suppressed && n.reason == reason;
    }));
  }
  std::size_t count(AlertNoticeKind kind) const {
    return static_cast<std::size_t>(std::ranges::count(notices, kind, &AlertNotice::kind));
  }

  AlertConfig config;
  std::unique_ptr<AlertCore> core;
  Time now{1h};
  WallTime wall{std::chrono::hours{24 * 365 * 56}};
  bool store_answers = true;
  bool durable = true;
  /// Answers of receivers; nothing: no answer.
  std::function<std::optional<Sent>(const Delivery&)> receive = [](const Delivery&) {
    return std::optional{Sent{
        .id = 0, .result = SendResult::accepted, .detail = {}, .retry_after = {}, .took = 5ms}};
  };

  std::map<std::string, Incident> incidents;
  std::map<std::uint64_t, Delivery> kept;
  std::map<std::string, Silence> silences;
  std::vector<std::uint64_t> unstored;  // StoreDelivery without an answer
  std::vector<std::pair<Time, Delivery>> attempts;
  std::vector<Delivery> accepted;
  std::vector<Delivery> in_flight;
  std::vector<AlertNotice> notices;
  std::vector<GatherEvidence> gathering;
  std::size_t incident_stores = 0;

 private:
  std::deque<AlertEvent> queue;
  bool busy = false;

  void step_to(Time to) {
    wall += std::chrono::floor<std::chrono::milliseconds>(to - now);
    now = to;
  }
  void act(GatherEvidence& a) { gathering.push_back(a); }
  void act(StoreIncident& a) {
    ++incident_stores;
    incidents[a.incident.id] = a.incident;
  }
  void act(StoreDelivery& a) {
    if (durable) kept[a.delivery.id] = a.delivery;
    if (store_answers) {
      on(DeliveryStored{a.delivery.id, durable});
    } else {
      unstored.push_back(a.delivery.id);
    }
  }
  void act(ForgetDelivery& a) { kept.erase(a.id); }
  void act(StoreSilence& a) { silences[a.silence.id] = a.silence; }
  void act(ForgetSilence& a) { silences.erase(a.id); }
  void act(Send& a) {
    attempts.emplace_back(now, a.delivery);
    auto answer = receive(a.delivery);
    if (!answer) {
      in_flight.push_back(a.delivery);
      return;
    }
    answer->id = a.delivery.id;
    if (answer->result == SendResult::accepted) accepted.push_back(a.delivery);
    on(*answer);
  }
  void act(AlertNotice& a) { notices.push_back(a); }
};

inline std::optional<Sent> answer(SendResult result, std::optional<Duration> retry_after = {}) {
  return Sent{
      .id = 0, .result = result, .detail = "said so", .retry_after = retry_after, .took = 5ms};
}

}  // namespace sentinel::core
