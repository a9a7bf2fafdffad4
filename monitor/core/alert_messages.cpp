// From incidents to messages.

#include <algorithm>

#include "core/alert_impl.hpp"

namespace sentinel::core {

using Impl = AlertCore::Impl;

namespace {

constexpr std::size_t max_covers = 1000;
constexpr std::size_t max_members_told = 50;
constexpr std::size_t max_refreshed_ended = 2000;

std::string key_of(const Incident& incident, const AlertRoom& receiver) {
  return incident.id + ":" + std::to_string(incident.sequence) + ":" + receiver.config.name;
}

}  // namespace

MessageItem Impl::item(const AlertEpisode& e) const {
  MessageItem out{e.incident, e.labels, {}, {}};
  out.incident.told.clear();
  auto& members = out.incident.members;
  if (members.size() > max_members_told) {
    out.incident.more_members += static_cast<unsigned>(members.size() - max_members_told);
    members.resize(max_members_told);
  }
  if (!config_.dashboard.empty()) out.link = config_.dashboard + "#incident/" + e.incident.id;
  const auto runbook = config_.runbooks.find(e.incident.cause);
  if (runbook != config_.runbooks.end()) out.runbook = runbook->second;
  return out;
}

void Impl::tell(AlertRoom& receiver, MessageKind kind, std::vector<AlertEpisode*> episodes,
                const Labels& values, const std::string& note) {
  std::ranges::sort(episodes, [](const AlertEpisode* a, const AlertEpisode* b) {
    if (a->incident.severity != b->incident.severity)
      return a->incident.severity > b->incident.severity;
    return a->incident.began != b->incident.began ? a->incident.began < b->incident.began
                                                  : a->incident.id < b->incident.id;
  });
  // A stateful one has to be told each by name.
  const std::size_t most = receiver.config.stateful ? Message::max_items : max_covers;
  for (std::span rest{episodes}; !rest.empty();) {
    const std::size_t count = std::min(rest.size(), most);
    tell_some(receiver, kind, rest.first(count), values, note);
    rest = rest.subspan(count);
  }
}

void Impl::tell_some(AlertRoom& receiver, MessageKind kind, std::span<AlertEpisode* const> episodes,
                     const Labels& values, const std::string& note) {
  Delivery d;
  d.receiver = receiver.config.name;
  d.key = kind == MessageKind::digest ? ulids_.next(wall_.time_since_epoch().count())
                                      : key_of(episodes.front()->incident, receiver);
  d.created = wall_;
  d.message.kind = kind;
  d.message.host = config_.host;
  d.message.group = values;
  d.message.note = note;
  d.message.made = wall_;
  Time changed = now_;
  for (AlertEpisode* e : episodes) {
    withdraw(receiver, *e, e->incident.ended.has_value());
    if (d.message.items.size() < Message::max_items) {
      d.message.items.push_back(item(*e));
    } else {
      ++d.message.more;
    }
    IncidentTold now_told{d.receiver,
                          e->incident.sequence,
                          e->incident.severity,
                          e->incident.cause,
                          e->incident.flapping,
                          e->incident.ended.has_value(),
                          wall_};
    d.covers.push_back({e->incident.id, now_told});
    if (IncidentTold* known = told(*e, receiver)) {
      *known = std::move(now_told);
    } else {
      e->incident.told.push_back(std::move(now_told));
    }
    if (kind != MessageKind::reminder) changed = std::min(changed, e->changed);
    if (receiver.config.stateful && e->incident.ended &&
        receiver.ended.size() < max_refreshed_ended) {
      receiver.ended[e->incident.id] = {item(*e), after(now_, receiver.config.refresh_ended)};
    }
  }
  d.changed = wall_ - std::chrono::floor<std::chrono::milliseconds>(now_ - changed);
  if (!receiver.config.stateful && kind != MessageKind::digest) receiver.made.push_back(now_);
  post(std::move(d), receiver, false).changed = changed;
}

/// Takes back what is not on its way yet and has been overtaken: refreshes, and, when the incident
/// is over, beginnings.
void Impl::withdraw(AlertRoom& receiver, const AlertEpisode& e, bool stale) {
  const auto known = receiver.by_incident.find(e.incident.id);
  if (known == receiver.by_incident.end()) return;
  for (const std::uint64_t id : std::set{known->second}) {
    AlertParcel& parcel = *parcels_.at(id);
    if (parcel.state == AlertParcel::State::sending) continue;
    if (parcel.refresh) {
      forget(parcel);
      continue;
    }
    Message& message = parcel.delivery.message;
    if (!stale || parcel.delivery.attempts > 0 || message.kind == MessageKind::digest) continue;
    notice(AlertNoticeKind::suppressed, &e, "its beginning and its end became one message",
           receiver.config.name, "stale");
    if (parcel.delivery.covers.size() == 1) {
      forget(parcel);
      continue;
    }
    unlink(parcel);
    std::erase_if(parcel.delivery.covers,
                  [&](const DeliveryCover& cover) { return cover.incident == e.incident.id; });
    if (std::erase_if(message.items, [&](const MessageItem& item) {
          return item.incident.id == e.incident.id;
        }) == 0) {
      --message.more;
    }
    link(parcel);
    store(parcel);
  }
}

void Impl::tell_again(AlertRoom& receiver, MessageKind kind, std::vector<MessageItem> items) {
  for (std::size_t from = 0; from < items.size(); from += Message::max_items) {
    const std::size_t to = std::min(items.size(), from + Message::max_items);
    Delivery d;
    d.receiver = receiver.config.name;
    d.key = key_of(items[from].incident, receiver);
    d.created = wall_;
    d.changed = wall_;
    d.message.kind = kind;
    d.message.host = config_.host;
    d.message.made = wall_;
    for (std::size_t i = from; i < to; ++i) {
      d.covers.push_back({items[i].incident.id, {}});
      d.message.items.push_back(std::move(items[i]));
    }
    post(std::move(d), receiver, true);
  }
}

void Impl::handle(const TestReceiver& event) {
  const auto found = receivers_.find(event.receiver);
  if (found == receivers_.end() || parcels_.size() - dead_ >= max_deliveries) return;
  MessageItem item;
  item.incident.id = ulids_.next(wall_.time_since_epoch().count());
  item.incident.root = {SubjectKind::sentinel, {}, "sentinel", 0};
  item.incident.title = "Sentinel";
  item.incident.severity = Severity::info;
  item.incident.cause = "test";
  item.incident.text = "this is a test, nothing is wrong";
  item.incident.began = wall_;
  item.incident.ended = wall_;
  item.incident.end_text = "the test is over";
  item.incident.sequence = 1;
  item.labels = config_.labels;
  item.labels["kind"] = "sentinel";
  item.labels["severity"] = "info";
  item.labels["cause"] = "test";
  item.link = config_.dashboard;
  Delivery d;
  d.receiver = event.receiver;
  d.key = key_of(item.incident, *found->second);
  d.created = wall_;
  d.changed = wall_;
  d.message.kind = MessageKind::test;
  d.message.host = config_.host;
  d.message.note = "a test of this receiver, asked for by hand";
  d.message.made = wall_;
  d.message.items.push_back(std::move(item));
  post(std::move(d), *found->second, false);
}

}  // namespace sentinel::core
