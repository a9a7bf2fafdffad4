#include "protocol/engine_session.hpp"

#include <algorithm>

namespace sentinel::protocol {
namespace {

constexpr Duration overdue_after = 5s;  // a stream not closed by then is half-open
constexpr Duration early_by = 2s;       // a stream closed this much before its time was cut
constexpr Duration short_lived = 5s;    // a stream that broke sooner earns a back-off
constexpr Duration renewal_gap =
    2s;  // a renewal that took longer may have missed events; also the look-back
constexpr Duration slow_after = 3s;        // an answer this late makes us ping
constexpr Duration between_lists = 250ms;  // lists on demand are at least this far apart

}  // namespace

EngineSession::EngineSession(SessionOptions options)
    : options_(options), random_(options.seed * 0x9E3779B97F4A7C15U + 0x632BE59BD9B4E019U) {
  options_.stream_length = std::clamp<Duration>(options_.stream_length, 2s, 1h);
  options_.relist_interval = std::max<Duration>(options_.relist_interval, 1s);
  options_.backoff_min = std::max<Duration>(options_.backoff_min, 1ms);
  options_.backoff_max = std::max(options_.backoff_max, options_.backoff_min);
}

void EngineSession::start(Moment /*at*/, SessionCommands& out) {
  if (state_ != State::stopped) return;
  ask_version(out);
}

void EngineSession::stop(SessionCommands& out) {
  forget_calls(out);
  state_ = State::stopped;
  retry_at_ = core::never;
}

void EngineSession::ask_version(SessionCommands& out) {
  state_ = State::asking_version;
  retry_at_ = core::never;
  version_call_ = ++last_call_;
  out.emplace_back(AskVersion{version_call_});
}

void EngineSession::on_version(CallNumber call, std::expected<VersionAnswer, Error> answer,
                               Moment at, SessionCommands& out) {
  if (call != version_call_ || call == 0) return;
  version_call_ = 0;
  if (!answer) return lose(answer.error().message, at, out);
  const auto api = negotiate(answer->version);
  if (!api) return lose(api.error().message, at, out);
  if (connected_ && (*api != api_ || answer->version.engine != engine_version_)) {
    // Another Engine than before: what was known of the old one is void, and the core hears so.
    connected_ = false;
    told_lost_ = true;
    out.emplace_back(
        Publish{core::EngineLost{"the Engine came back as version " + answer->version.engine}});
    out.emplace_back(DropCalls{});
  }
  api_ = *api;
  engine_version_ = std::move(answer->version.engine);
  clock_offset_ns_ = answer->engine_clock_ns - at.wall_ns;
  state_ = State::opening_stream;
  open_stream(at, out);
}

void EngineSession::open_stream(Moment at, SessionCommands& out) {
  const std::int64_t engine_now = at.wall_ns + clock_offset_ns_;
  // The Engine answers the head before it subscribes, so even the first stream looks back a little.
  // After a step of the clock the latest event may lie in the future, where `since` would find
  // nothing.
  std::int64_t since = engine_now - renewal_gap.count();
  if (filter_.latest() > since && filter_.latest() <= engine_now) since = filter_.latest();
  EventQuery query;
  query.since = std::max<std::int64_t>(since, 0);
  query.until = std::max<std::int64_t>(engine_now, 0) + options_.stream_length.count();
  query.watch_all = options_.watch_all;
  lines_.reset();
  stream_open_ = false;
  stream_due_ = core::after(at.now, options_.stream_length);
  stream_call_ = ++last_call_;
  out.emplace_back(OpenStream{stream_call_, query, api_});
}

void EngineSession::on_stream_opened(CallNumber call, Moment at, SessionCommands& out) {
  if (call != stream_call_ || call == 0 || stream_open_) return;
  stream_open_ = true;
  if (state_ == State::up) {
    ++counts_.renewals;
    if (at.now - stream_ended_ > renewal_gap) relist(true, at, out);
    return;
  }
  first_opened_ = at.now;
  state_ = State::listing;
  if (!connected_) {
    connected_ = true;
    out.emplace_back(Publish{core::EngineConnected{api_.to_string(), engine_version_}});
  }
  ask_list(true, at, out);
}

void EngineSession::on_stream_bytes(CallNumber call, std::string_view bytes, Moment at,
                                    SessionCommands& out) {
  if (call != stream_call_ || call == 0 || !stream_open_) return;
  bool unsure = false;
  const auto overlong = lines_.overlong();
  lines_.feed(bytes, [&](std::string_view line) {
    const auto event = parse_event(line);
    if (!event) {
      ++counts_.malformed;
      unsure = true;
      return;
    }
    if (!*event) return;
    if (!filter_.first_time(**event)) {
      ++counts_.duplicates;
      return;
    }
    ++counts_.events;
    out.emplace_back(Publish{(*event)->hint});
  });
  counts_.malformed += lines_.overlong() - overlong;
  if (unsure || lines_.overlong() != overlong) relist(true, at, out);
}

void EngineSession::on_stream_closed(CallNumber call, std::optional<Error> error, Moment at,
                                     SessionCommands& out) {
  if (call != stream_call_ || call == 0) return;
  const bool was_open = stream_open_;
  stream_call_ = 0;
  stream_open_ = false;
  if (!was_open) {
    const std::string reason =
        error ? error->message : "the Engine ended the event stream before it began";
    return broken(reason, at, out);
  }
  if (error) return broken("the event stream broke: " + error->message, at, out);
  if (at.now < stream_due_ - early_by)
    return broken("the Engine ended the event stream early", at, out);
  // Not when we noticed: had this process been stopped meanwhile, the gap would not show.
  stream_ended_ = std::min(at.now, stream_due_);
  failures_ = 0;
  open_stream(at, out);
}

void EngineSession::ask_list(bool after_gap, Moment at, SessionCommands& out) {
  list_gap_ = after_gap || next_gap_;
  next_gap_ = false;
  list_again_ = false;
  last_list_ = at.now;
  list_at_ = core::never;
  list_call_ = ++last_call_;
  out.emplace_back(AskList{list_call_});
}

void EngineSession::on_list(CallNumber call,
                            std::expected<std::vector<core::ListedContainer>, Error> answer,
                            Moment at, SessionCommands& out) {
  if (call != list_call_ || call == 0) return;
  list_call_ = 0;
  if (!answer) return broken(answer.error().message, at, out);
  if (state_ == State::listing) {
    state_ = State::up;
    resuming_ = false;
    told_lost_ = false;
    last_error_.clear();
  }
  out.emplace_back(Publish{core::Listed{std::move(*answer), list_gap_}});
  list_at_ = core::after(last_list_, list_again_ ? between_lists : options_.relist_interval);
  list_again_ = false;
}

void EngineSession::relist(bool after_gap, Moment at, SessionCommands& out) {
  if (!streaming()) return;  // a list follows anyway
  next_gap_ = next_gap_ || after_gap;
  if (list_call_ != 0) {
    list_again_ = true;
  } else if (at.now >= core::after(last_list_, between_lists)) {
    ask_list(after_gap, at, out);
  } else {
    list_at_ = std::min(list_at_, core::after(last_list_, between_lists));
  }
}

void EngineSession::reconfigure(bool watch_all, Moment at, SessionCommands& out) {
  const bool same = watch_all == options_.watch_all;
  options_.watch_all = watch_all;
  if (same || state_ == State::stopped || state_ == State::waiting ||
      state_ == State::asking_version)
    return relist(true, at, out);
  resuming_ = connected_;
  forget_calls(out);
  ask_version(out);
}

void EngineSession::ask_ping(SessionCommands& out) {
  ++counts_.pings;
  ping_call_ = ++last_call_;
  out.emplace_back(AskPing{ping_call_});
}

void EngineSession::on_ping(CallNumber call, std::expected<void, Error> answer, Moment at,
                            SessionCommands& out) {
  if (call != ping_call_ || call == 0) return;
  ping_call_ = 0;
  calls_since_ = at.now;
  if (answer) return;
  ++counts_.reconnects;  // the stream is given up with the rest
  lose(answer.error().message, at, out);
}

void EngineSession::on_call_started(Moment at) {
  if (calls_++ == 0) calls_since_ = at.now;
}

void EngineSession::on_call_finished(bool failed, Moment at, SessionCommands& out) {
  if (calls_ > 0) --calls_;
  if (!failed) {
    calls_since_ = at.now;
  } else if (streaming() && ping_call_ == 0) {
    ask_ping(out);
  }
}

void EngineSession::broken(const std::string& reason, Moment at, SessionCommands& out) {
  const bool lived = streaming() && at.now - first_opened_ >= short_lived;
  if (streaming()) ++counts_.reconnects;
  if (state_ != State::up || resuming_ || !lived) return lose(reason, at, out);
  last_error_ = reason;
  resuming_ = true;
  failures_ = 0;
  forget_calls(out);
  ask_version(out);
}

void EngineSession::lose(const std::string& reason, Moment at, SessionCommands& out) {
  if (streaming() && at.now - first_opened_ >= short_lived) failures_ = 0;
  forget_calls(out);
  const bool news = connected_ || !told_lost_ || reason != last_error_;
  connected_ = false;
  resuming_ = false;
  told_lost_ = true;
  last_error_ = reason;
  state_ = State::waiting;
  retry_at_ = core::after(at.now, next_backoff());
  if (news) out.emplace_back(Publish{core::EngineLost{reason}});
  out.emplace_back(DropCalls{});
}

void EngineSession::forget_calls(SessionCommands& out) {
  if (stream_call_ != 0) out.emplace_back(CloseStream{});
  version_call_ = 0;
  stream_call_ = 0;
  list_call_ = 0;
  ping_call_ = 0;
  stream_open_ = false;
  stream_due_ = core::never;
  list_at_ = core::never;
  list_again_ = false;
}

Duration EngineSession::next_backoff() {
  Duration base = options_.backoff_min;
  for (unsigned i = 0; i < failures_ && base < options_.backoff_max; ++i) base *= 2;
  base = std::min(base, options_.backoff_max);
  if (failures_ < 64) ++failures_;
  // splitmix64 (Vigna): one step, for a delay in [base / 2, base].
  std::uint64_t z = random_ += 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  z ^= z >> 31U;
  const auto half = static_cast<std::uint64_t>(base.count()) / 2;
  return Duration{static_cast<std::int64_t>(half + z % (half + 1))};
}

void EngineSession::on_timer(Moment at, SessionCommands& out) {
  if (state_ == State::waiting && at.now >= retry_at_) return ask_version(out);
  if (!streaming()) return;
  if (stream_open_ && stream_due_ != core::never &&
      at.now >= core::after(stream_due_, overdue_after)) {
    return broken("the event stream is silent beyond its end: a half-open connection", at, out);
  }
  if (list_call_ == 0 && at.now >= list_at_) ask_list(false, at, out);
  if (ping_call_ == 0 && calls_ > 0 && at.now >= core::after(calls_since_, slow_after))
    ask_ping(out);
}

std::optional<core::Time> EngineSession::next_deadline() const {
  core::Time next = core::never;
  if (state_ == State::waiting) next = retry_at_;
  if (streaming()) {
    if (stream_open_ && stream_due_ != core::never)
      next = std::min(next, core::after(stream_due_, overdue_after));
    if (list_call_ == 0) next = std::min(next, list_at_);
    if (ping_call_ == 0 && calls_ > 0) next = std::min(next, core::after(calls_since_, slow_after));
  }
  return next == core::never ? std::nullopt : std::optional(next);
}

}  // namespace sentinel::protocol
