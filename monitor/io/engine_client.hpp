#pragma once

// The Engine as the core knows it: hints, lists, inspects and operations, over HTTP/1.1 on a Unix
// socket or through a socket proxy. What to ask when is decided by protocol::EngineSession; this
// class moves the bytes.
//
// Connections: one for the event stream, one for each operation (a slow restart delays nothing
// else), at most `connections` for inspects (closed when idle), one for each list, version and
// ping. At rest only the stream is open.
//
// Every call has a deadline, see EngineTimeouts. Bodies: list 32 MiB, inspect 4 MiB, others 256
// KiB; heads 32 KiB; event lines 1 MiB. An operation is never sent twice; one without an
// answer in time is `timed_out`, without a proper one `unknown`.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/action.hpp"
#include "core/event.hpp"
#include "protocol/settings.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct EngineTimeouts {
  core::Duration connect = std::chrono::seconds(2);
  core::Duration quick = std::chrono::seconds(5);       // version, ping, the stream's head
  core::Duration call = std::chrono::seconds(10);       // list, inspect
  core::Duration operation = std::chrono::seconds(20);  // beyond the stop timeout
};

struct EngineOptions {
  std::string endpoint = "unix:///var/run/docker.sock";  // see parse_engine_endpoint()
  protocol::LabelDefaults
      settings;  // settings.watch_all: also containers without `sentinel.enable`
  core::Duration relist_interval = std::chrono::seconds(60);
  core::Duration stream_length = std::chrono::seconds(60);
  unsigned connections = 4;  // for inspects, 1..64
  std::size_t inspect_queue =
      16'384;  // waiting inspects; one more is answered as failed and a list is asked for
  std::size_t operation_limit = 1'024;  // operations under way; one more is answered as failed
  std::string own_container_id;  // 64 hex digits, empty: not in a container. See own_container_id()
  EngineTimeouts timeouts;
  std::uint64_t seed = 1;  // of the back-off's jitter
};

struct EngineStats {
  struct Requests {
    std::string_view operation;  // version, ping, events, list, inspect, restart, kill, start, stop
    std::string code;            // the status, `timeout` or `error`
    std::uint64_t count = 0;
  };
  std::vector<Requests> requests;       // every operation at least with code 200 or 204
  std::uint64_t stream_reconnects = 0;  // streams that ended other than in time
  std::uint64_t stream_renewals = 0;
  std::uint64_t events = 0;
  std::uint64_t duplicate_events = 0;
  std::uint64_t malformed_events = 0;
  std::uint64_t queue_overflows = 0;
  std::size_t inspects_waiting = 0;
  std::size_t operations = 0;  // under way
  bool up = false;
  std::string api_version;  // empty before the first connection
  std::string engine_version;
  std::string last_error;  // why it is down, escaped
};

class EngineClient {
 public:
  /// Called from the io_context, never from inside a member call. It may call the members.
  using Sink = std::function<void(core::Event)>;

  /// The endpoint is to be checked with parse_engine_endpoint() before; a bad one is an Engine that
  /// is lost for ever.
  EngineClient(boost::asio::io_context& context, EngineOptions options, Sink sink);
  ~EngineClient();
  EngineClient(const EngineClient&) = delete;
  EngineClient& operator=(const EngineClient&) = delete;

  void start();
  /// Cancels everything; the sink is not called any more. Operations under way go on inside the
  /// Engine.
  void stop();

  /// Answered by core::Inspected in any case, once per call.
  void perform(const core::Inspect& action);
  void perform(const core::Relist& action);
  /// Answered by core::OperationDone in any case.
  void perform(const core::Operate& action);

  /// New defaults and limits: every container is inspected again. A change of watch_all renews the
  /// stream as well.
  void reconfigure(protocol::LabelDefaults settings);

  EngineStats stats() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
