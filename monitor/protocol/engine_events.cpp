#include "protocol/engine_events.hpp"

#include <algorithm>
#include <array>

#include "protocol/json.hpp"

namespace sentinel::protocol {
namespace {

constexpr json::Limits event_limits{
    .max_bytes = max_event_line, .max_depth = 16, .max_values = 20'000};

struct NamedAction {
  std::string_view name;
  core::HintKind kind;
};
constexpr std::array<NamedAction, 13> actions{
    {{"create", core::HintKind::create},
     {"start", core::HintKind::start},
     {"restart", core::HintKind::restart},
     {"die", core::HintKind::die},
     {"stop", core::HintKind::stop},
     {"kill", core::HintKind::kill},
     {"pause", core::HintKind::pause},
     {"unpause", core::HintKind::unpause},
     {"destroy", core::HintKind::destroy},
     {"rename", core::HintKind::rename},
     {"oom", core::HintKind::oom},
     {"health_status: healthy", core::HintKind::healthy},
     {"health_status: unhealthy", core::HintKind::unhealthy}}};

/// Picks Type, Action, Actor.ID, time and their older names.
class EventVisitor final : public json::Visitor {
 public:
  std::string type;
  std::string action;
  std::string actor;
  std::string old_status;
  std::string old_id;
  std::int64_t time_ns = 0;
  std::int64_t time_s = 0;

  bool on_null() override { return value(); }
  bool on_bool(bool /*value*/) override { return value(); }
  bool on_integer(std::int64_t number) override {
    if (integer_ != nullptr && *integer_ == 0 && number > 0) *integer_ = number;
    return value();
  }
  bool on_unsigned(std::uint64_t /*value*/) override { return value(); }
  bool on_double(double /*value*/) override { return value(); }
  bool on_string(std::string& text) override {
    if (text_ != nullptr && text_->empty()) *text_ = std::move(text);
    return value();
  }
  bool on_key(std::string& key) override {
    clear();
    if (depth_ == 1) {
      if (key == "Type") text_ = &type;
      if (key == "Action") text_ = &action;
      if (key == "status") text_ = &old_status;
      if (key == "id") text_ = &old_id;
      if (key == "timeNano") integer_ = &time_ns;
      if (key == "time") integer_ = &time_s;
      actor_next_ = key == "Actor";
    } else if (depth_ == 2 && in_actor_ && key == "ID") {
      text_ = &actor;
    }
    return true;
  }
  bool begin_object() override {
    if (depth_ == 1) in_actor_ = actor_next_;
    clear();
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool begin_array() override {
    if (depth_ == 0) return false;
    if (depth_ == 1) in_actor_ = false;
    clear();
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }

 private:
  bool value() {
    clear();
    return depth_ > 0;
  }
  void clear() {
    text_ = nullptr;
    integer_ = nullptr;
    actor_next_ = false;
  }

  unsigned depth_ = 0;
  bool in_actor_ = false;
  bool actor_next_ = false;
  std::string* text_ = nullptr;
  std::int64_t* integer_ = nullptr;
};

/// `{"type":["container"],...}` percent-encoded for a query.
std::string encode(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || c == '.';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4U];
      out += digits[byte & 0xFU];
    }
  }
  return out;
}

/// Docker reads `seconds.nanoseconds`.
std::string timestamp(std::int64_t ns) {
  std::string fraction = std::to_string(ns % 1'000'000'000);
  return std::to_string(ns / 1'000'000'000) + "." + std::string(9 - fraction.size(), '0') +
         fraction;
}

/// The filter is on the label's key alone: `TRUE` and `1` are as good as `true`, and a bad value
/// deserves its warning.
constexpr std::string_view label_filter = R"("label":["sentinel.enable"])";

}  // namespace

void LineSplitter::keep(std::string_view piece) {
  if (skipping_) return;
  if (partial_.size() + piece.size() > max_line_) {
    ++overlong_;
    skipping_ = true;
    drop_partial();
    return;
  }
  partial_.append(piece);
}

void LineSplitter::drop_partial() {
  // A rare long line must not keep its memory for ever.
  if (partial_.capacity() > 16'384) {
    std::string().swap(partial_);
  } else {
    partial_.clear();
  }
}

void LineSplitter::reset() {
  drop_partial();
  skipping_ = false;
}

std::optional<core::HintKind> parse_action(std::string_view action) {
  const auto at = std::ranges::find(actions, action, &NamedAction::name);
  return at == actions.end() ? std::nullopt : std::optional(at->kind);
}

std::expected<std::optional<EngineEvent>, Error> parse_event(std::string_view line) {
  EventVisitor seen;
  if (auto done = json::scan(line, seen, event_limits); !done) {
    return std::unexpected(Error{"event: " + done.error().message});
  }
  if (!seen.type.empty() && seen.type != "container") return std::nullopt;
  const auto kind = parse_action(seen.action.empty() ? seen.old_status : seen.action);
  if (!kind) return std::nullopt;
  const auto id = core::ContainerId::parse(seen.actor.empty() ? seen.old_id : seen.actor);
  if (!id) return std::unexpected(Error{"event: no full container id"});
  EngineEvent event;
  event.hint = {*id, *kind};
  constexpr std::int64_t last_second = INT64_MAX / 1'000'000'000;
  event.time = seen.time_ns > 0 ? seen.time_ns : std::min(seen.time_s, last_second) * 1'000'000'000;
  return event;
}

std::string events_target(const EventQuery& query) {
  std::string filters =
      R"({"type":["container"],"event":["create","start","restart","die","stop","kill","pause","unpause",)"
      R"("destroy","rename","oom","health_status"])";
  if (!query.watch_all) filters.append(",").append(label_filter);
  filters += "}";
  return "/events?since=" + timestamp(query.since) + "&until=" + timestamp(query.until) +
         "&filters=" + encode(filters);
}

std::string list_target(bool watch_all) {
  std::string target = "/containers/json?all=1";
  if (!watch_all) target += "&filters=" + encode("{" + std::string(label_filter) + "}");
  return target;
}

bool EventFilter::first_time(const EngineEvent& event) {
  if (event.time == 0) return true;  // without a time, two alike need not be the same
  // Normally time goes forward, and nothing needs to be searched.
  const bool newer = event.time > latest_;
  if (!newer && std::ranges::find(ring_, event) != ring_.end()) return false;
  if (newer) latest_ = event.time;
  if (ring_.size() < capacity) {
    ring_.push_back(event);
  } else {
    ring_[next_] = event;
    next_ = (next_ + 1) % capacity;
  }
  return true;
}

}  // namespace sentinel::protocol
