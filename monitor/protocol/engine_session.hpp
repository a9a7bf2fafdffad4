#pragma once

// The conversation with one Engine, without sockets: what to ask next, and what an answer or its
// absence means.
//
//   waiting --timer--> asking_version --ok--> opening_stream --headers--> listing --list--> up
//      ^                     |                      |                        |              |
//      |                     v                      v                        v              v
//      +------ failure: EngineLost, back-off 100 ms doubling to 5 s with jitter ------------+
//
// Subscribe first, then list: EngineConnected is published when the stream's headers are there, the
// list that follows is marked `after_gap`. Streams are bounded by `until`; in state up
//   - a close in time is a renewal: the next stream starts where the last one ended, duplicates are
//   dropped;
//   - an early or unclean close, or none 5 s after it was due (a half-open connection), and a
//   failed list lead back to
//     asking_version at once, without EngineLost: proxies cut streams, daemons restart. If anything
//     fails on that way, or the stream that broke had lived less than 5 s, the Engine is lost.
//     Success means another list after a gap;
//   - a call that failed, or answers that are 3 s late, lead to a ping; a ping that fails means the
//   Engine is lost.
// Answers carry the number of their question; one that is not awaited any more is ignored. Every
// question is answered: the transport has a deadline for each.

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/event.hpp"
#include "protocol/engine_events.hpp"
#include "protocol/engine_json.hpp"

namespace sentinel::protocol {

struct SessionOptions {
  Duration stream_length = 60s;    // 2 s..1 h
  Duration relist_interval = 60s;  // >= 1 s
  Duration backoff_min = 100ms;
  Duration backoff_max = 5s;
  bool watch_all = false;
  std::uint64_t seed = 1;  // of the jitter
};

using CallNumber = std::uint64_t;

// What the transport is asked for.
struct AskVersion {
  CallNumber call = 0;
};
struct OpenStream {
  CallNumber call = 0;  // also of the stream itself
  EventQuery query;
  ApiVersion api;
};
struct CloseStream {};
struct AskList {
  CallNumber call = 0;
};
struct AskPing {
  CallNumber call = 0;
};
/// For the core.
struct Publish {
  core::Event event;
};
/// The Engine is lost: queued calls are to be answered as failed.
struct DropCalls {};

using SessionCommand =
    std::variant<AskVersion, OpenStream, CloseStream, AskList, AskPing, Publish, DropCalls>;
using SessionCommands = std::vector<SessionCommand>;

/// Both of our clocks at one moment.
struct Moment {
  core::Time now;            // monotonic
  std::int64_t wall_ns = 0;  // ns since 1970, ours
};

struct VersionAnswer {
  EngineVersion version;
  std::int64_t engine_clock_ns = 0;  // see engine_clock()
};

struct SessionCounts {
  std::uint64_t reconnects = 0;  // streams that ended other than in time
  std::uint64_t renewals = 0;
  std::uint64_t events = 0;  // hints passed on
  std::uint64_t duplicates = 0;
  std::uint64_t malformed = 0;  // lines that were no event, or too long
  std::uint64_t pings = 0;
};

class EngineSession {
 public:
  enum class State : std::uint8_t { stopped, waiting, asking_version, opening_stream, listing, up };

  explicit EngineSession(SessionOptions options);

  void start(Moment at, SessionCommands& out);
  void stop(SessionCommands& out);

  void on_version(CallNumber call, std::expected<VersionAnswer, Error> answer, Moment at,
                  SessionCommands& out);
  void on_stream_opened(CallNumber call, Moment at, SessionCommands& out);
  void on_stream_bytes(CallNumber call, std::string_view bytes, Moment at, SessionCommands& out);
  /// Before or after it opened; nullopt: the Engine ended it properly.
  void on_stream_closed(CallNumber call, std::optional<Error> error, Moment at,
                        SessionCommands& out);
  void on_list(CallNumber call, std::expected<std::vector<core::ListedContainer>, Error> answer,
               Moment at, SessionCommands& out);
  void on_ping(CallNumber call, std::expected<void, Error> answer, Moment at, SessionCommands& out);

  /// Quick calls (inspects and lists) the transport has under way, for noticing an Engine that
  /// stopped answering.
  void on_call_started(Moment at);
  /// `failed`: no proper answer; any HTTP status is one.
  void on_call_finished(bool failed, Moment at, SessionCommands& out);

  /// The core, a full queue or new settings want a list. Lists that are wanted at once become one.
  void relist(bool after_gap, Moment at, SessionCommands& out);

  /// Another filter for lists and events takes a new stream; everything is inspected again in any
  /// case.
  void reconfigure(bool watch_all, Moment at, SessionCommands& out);

  void on_timer(Moment at, SessionCommands& out);
  /// nullopt: nothing is due.
  std::optional<core::Time> next_deadline() const;

  State state() const { return state_; }
  /// The core believes the Engine to be there.
  bool connected() const { return connected_; }
  ApiVersion api() const { return api_; }
  const std::string& engine_version() const { return engine_version_; }
  /// Why the Engine is lost; empty while it is not.
  const std::string& last_error() const { return last_error_; }
  const SessionCounts& counts() const { return counts_; }

 private:
  void ask_version(SessionCommands& out);
  void open_stream(Moment at, SessionCommands& out);
  void ask_list(bool after_gap, Moment at, SessionCommands& out);
  void ask_ping(SessionCommands& out);
  /// Starts anew at once when that may help, else loses the Engine.
  void broken(const std::string& reason, Moment at, SessionCommands& out);
  void lose(const std::string& reason, Moment at, SessionCommands& out);
  void forget_calls(SessionCommands& out);
  Duration next_backoff();
  bool streaming() const { return state_ == State::listing || state_ == State::up; }

  SessionOptions options_;
  State state_ = State::stopped;
  bool connected_ = false;
  bool told_lost_ = false;
  bool resuming_ = false;  // on the way back up without having said EngineLost
  ApiVersion api_ = lowest_api;
  std::string engine_version_;
  std::int64_t clock_offset_ns_ = 0;  // the Engine's clock minus ours
  std::string last_error_;
  unsigned failures_ = 0;  // in a row
  std::uint64_t random_;
  SessionCounts counts_;

  CallNumber last_call_ = 0;
  CallNumber version_call_ = 0;  // 0: none awaited
  CallNumber stream_call_ = 0;
  CallNumber list_call_ = 0;
  CallNumber ping_call_ = 0;

  bool stream_open_ = false;  // headers are there
  LineSplitter lines_;
  EventFilter filter_;
  core::Time retry_at_ = core::never;
  core::Time first_opened_{};            // of the chain of renewed streams
  core::Time stream_due_ = core::never;  // when the Engine should end the stream
  core::Time stream_ended_{};            // when the last one ended in time
  core::Time list_at_ = core::never;     // the next list
  core::Time last_list_{};               // when one was last asked for
  bool list_gap_ = false;                // the list under way is after a gap
  bool next_gap_ = false;                // the next one will be
  bool list_again_ = false;              // wanted while one was under way
  unsigned calls_ = 0;
  core::Time calls_since_{};  // start of the first, or the last sign of life
};

}  // namespace sentinel::protocol
