#include "io/engine_client.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "io/engine_connection.hpp"
#include "io/engine_queue.hpp"
#include "io/runtime.hpp"
#include "protocol/engine_json.hpp"
#include "protocol/engine_session.hpp"
#include "protocol/escape.hpp"

namespace sentinel::io {
namespace asio = boost::asio;
namespace {

constexpr core::Duration longest_stop = std::chrono::hours(1);
constexpr core::Duration idle_connection = std::chrono::seconds(1);
constexpr std::uint64_t small_body = std::uint64_t{256} << 10U;
constexpr std::size_t scratch_bytes = std::size_t{32} << 10U;

std::int64_t wall_clock() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

protocol::SessionOptions session_options(const EngineOptions& options) {
  protocol::SessionOptions session;
  session.stream_length = options.stream_length;
  session.relist_interval = options.relist_interval;
  session.watch_all = options.settings.without_label();
  session.seed = options.seed;
  return session;
}

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

class EngineClient::Impl : public std::enable_shared_from_this<EngineClient::Impl> {
 public:
  Impl(asio::io_context& context, EngineOptions options, Sink sink)
      : context_(context),
        options_(std::move(options)),
        sink_(std::move(sink)),
        session_(session_options(options_)),
        scratch_(scratch_bytes),
        alarm_(context, [this] { on_alarm(); }),
        waiting_(options_.inspect_queue) {
    options_.connections = std::clamp(options_.connections, 1U, 64U);
    inspect_context_.settings = std::move(options_.settings);
    inspect_context_.own.container = core::ContainerId::parse(options_.own_container_id);
    inspect_context_.own.host_network = !inspect_context_.own.container;
  }

  void start() {
    if (started_) return;
    started_ = true;
    auto endpoint = parse_engine_endpoint(options_.endpoint);
    if (!endpoint) {
      bad_endpoint_ = protocol::one_line(endpoint.error().text);
      deliver_later(core::EngineLost{bad_endpoint_});
      return;
    }
    endpoint_ = std::move(*endpoint);
    session_step([this](auto at, auto& out) { session_.start(at, out); });
  }

  void stop() {
    if (stopped_) return;
    stopped_ = true;
    protocol::SessionCommands ignored;
    session_.stop(ignored);
    alarm_.set(std::nullopt);
    for (auto* group : {&singles_, &inspectors_, &operators_}) {
      for (const auto& connection : *group) connection->abandon();
      group->clear();
    }
    if (stream_) stream_->abandon();
    stream_.reset();
  }

  void inspect(const core::Inspect& action) {
    if (stopped_) return;
    if (!session_.connected()) {
      fail_inspect_later(action, "the Engine is lost");
      return;
    }
    if (!waiting_.push(action.id, action.token)) {
      ++overflows_;
      fail_inspect_later(action, "too many inspects are waiting");
      session_step([this](auto at, auto& out) { session_.relist(true, at, out); });
      return;
    }
    pump_inspects();
  }

  void relist(bool after_gap) {
    if (stopped_) return;
    session_step([this, after_gap](auto at, auto& out) { session_.relist(after_gap, at, out); });
  }

  void operate(const core::Operate& action) {
    if (stopped_) return;
    if (!session_.connected() || operators_.size() >= options_.operation_limit) {
      // Surely not done: nothing was sent.
      deliver_later(core::OperationDone{
          action.op, action.step, core::OperationResult::failed,
          session_.connected() ? "too many operations are under way" : "the Engine is lost"});
      return;
    }
    const core::Duration stop_timeout =
        std::clamp<core::Duration>(action.stop_timeout, {}, longest_stop);
    EngineConnection::Exchange exchange;
    exchange.method = "POST";
    exchange.target = versioned(operation_target(action.id, action.step, stop_timeout));
    exchange.timeout = (waits_for_stop(action.step) ? stop_timeout : core::Duration{}) +
                       options_.timeouts.operation;
    exchange.limits.max_body = small_body;
    const auto connection = make_connection();
    exchange.on_end = [weak = weak_from_this(), connection, op = action.op,
                       step = action.step](EngineResult result) {
      if (const auto self = weak.lock()) self->on_operated(connection, op, step, std::move(result));
    };
    operators_.push_back(connection);
    connection->start(std::move(exchange));
  }

  void reconfigure(protocol::LabelDefaults settings) {
    if (stopped_) return;
    const bool watch_all = settings.without_label();
    inspect_context_.settings = std::move(settings);
    session_step(
        [this, watch_all](auto at, auto& out) { session_.reconfigure(watch_all, at, out); });
  }

  EngineStats stats() const {
    EngineStats stats;
    stats.requests = requests_.all();
    const auto& counts = session_.counts();
    stats.stream_reconnects = counts.reconnects;
    stats.stream_renewals = counts.renewals;
    stats.events = counts.events;
    stats.duplicate_events = counts.duplicates;
    stats.malformed_events = counts.malformed;
    stats.queue_overflows = overflows_;
    stats.inspects_waiting = waiting_.size();
    stats.operations = operators_.size();
    stats.up = session_.connected();
    if (!session_.engine_version().empty()) stats.api_version = session_.api().to_string();
    stats.engine_version = session_.engine_version();
    stats.last_error = bad_endpoint_.empty() ? session_.last_error() : bad_endpoint_;
    return stats;
  }

 private:
  using Connection = std::shared_ptr<EngineConnection>;

  // --- session ---

  static protocol::Moment moment() { return {now(), wall_clock()}; }

  /// Lets the session decide, then does what it says. The session never calls back, so a sink may
  /// call our members.
  template <class Step>
  void session_step(Step&& step) {
    if (stopped_) return;
    protocol::SessionCommands commands;
    step(moment(), commands);
    for (auto& command : commands) {
      if (stopped_) return;
      execute(command);
    }
    alarm_.set(session_.next_deadline());
  }

  void execute(protocol::SessionCommand& command) {
    std::visit(Overloaded{[this](const protocol::AskVersion& ask) { ask_version(ask.call); },
                          [this](const protocol::OpenStream& open) { open_stream(open); },
                          [this](const protocol::CloseStream&) {
                            if (stream_) stream_->abandon();
                          },
                          [this](const protocol::AskList& ask) { ask_list(ask.call); },
                          [this](const protocol::AskPing& ask) { ask_ping(ask.call); },
                          [this](protocol::Publish& publish) { on_publish(publish); },
                          [this](const protocol::DropCalls&) { drop_calls(); }},
               command);
  }

  void on_alarm() {
    session_step([this](auto at, auto& out) { session_.on_timer(at, out); });
  }

  void on_publish(protocol::Publish& publish) {
    if (std::holds_alternative<core::EngineConnected>(publish.event)) find_own_place();
    sink_(std::move(publish.event));
  }

  // --- calls ---

  std::string versioned(std::string_view target) const {
    return "/v" + session_.api().to_string() + std::string(target);
  }

  Connection make_connection() {
    return std::make_shared<EngineConnection>(context_, endpoint_, options_.timeouts.connect,
                                              std::span<char>(scratch_));
  }

  void count(std::string_view operation, const EngineResult& result) {
    if (result) {
      requests_.answered(operation, result->status);
    } else if (result.error().kind == EngineFailure::Kind::timeout) {
      requests_.timed_out(operation);
    } else if (result.error().kind != EngineFailure::Kind::cancelled) {
      requests_.failed(operation);
    }
  }

  /// A GET on a connection of its own. `done` is a member function.
  template <class Done>
  void single(std::string_view operation, std::string target, core::Duration timeout,
              std::uint64_t max_body, Done done) {
    EngineConnection::Exchange exchange;
    exchange.target = std::move(target);
    exchange.timeout = timeout;
    exchange.limits.max_body = max_body;
    const auto connection = make_connection();
    exchange.on_end = [weak = weak_from_this(), connection, operation,
                       done = std::move(done)](EngineResult result) {
      const auto self = weak.lock();
      if (!self) return;
      self->count(operation, result);
      connection->abandon();
      std::erase(self->singles_, connection);
      done(*self, std::move(result));
    };
    singles_.push_back(connection);
    connection->start(std::move(exchange));
  }

  static protocol::Error protocol_error(std::string_view what, const EngineResult& result) {
    return {result_text(what, result)};
  }

  void ask_version(protocol::CallNumber call) {
    single("version", "/version", options_.timeouts.quick, small_body,
           [call](Impl& self, EngineResult result) {
             std::expected<protocol::VersionAnswer, protocol::Error> answer;
             if (!result || result->status != 200) {
               answer = std::unexpected(protocol_error("GET /version", result));
             } else if (auto version = protocol::parse_version(result->body)) {
               answer = protocol::VersionAnswer{std::move(*version),
                                                protocol::engine_clock(wall_clock(), result->date)};
             } else {
               answer = std::unexpected(version.error());
             }
             self.session_step([&](auto at, auto& out) {
               self.session_.on_version(call, std::move(answer), at, out);
             });
           });
  }

  void ask_list(protocol::CallNumber call) {
    session_.on_call_started(moment());
    single("list", versioned(protocol::list_target(inspect_context_.settings.without_label())),
           options_.timeouts.call, protocol::list_limits.max_bytes,
           [call](Impl& self, EngineResult result) {
             std::expected<std::vector<core::ListedContainer>, protocol::Error> answer;
             if (result && result->status == 200) {
               answer = protocol::parse_list(result->body);
             } else {
               answer = std::unexpected(protocol_error("container list", result));
             }
             self.session_step([&](auto at, auto& out) {
               self.session_.on_call_finished(!result, at, out);
               self.session_.on_list(call, std::move(answer), at, out);
             });
           });
  }

  void ask_ping(protocol::CallNumber call) {
    single("ping", versioned("/_ping"), options_.timeouts.quick, small_body,
           [call](Impl& self, EngineResult result) {
             std::expected<void, protocol::Error> answer;
             if (!result || result->status != 200)
               answer = std::unexpected(protocol_error("GET /_ping", result));
             self.session_step([&](auto at, auto& out) {
               self.session_.on_ping(call, std::move(answer), at, out);
             });
           });
  }

  // --- event stream ---

  void open_stream(const protocol::OpenStream& open) {
    // A connection on which the last stream ended in time carries the next one.
    if (!stream_) stream_ = make_connection();
    if (stream_->busy()) stream_->abandon();
    const auto call = open.call;
    const auto weak = weak_from_this();
    EngineConnection::Exchange exchange;
    exchange.target = versioned(protocol::events_target(open.query));
    exchange.timeout = options_.timeouts.quick;
    exchange.on_head = [weak, call] {
      if (const auto self = weak.lock()) {
        self->session_step(
            [&](auto at, auto& out) { self->session_.on_stream_opened(call, at, out); });
      }
    };
    exchange.on_body = [weak, call](std::string_view bytes) {
      if (const auto self = weak.lock()) {
        self->session_step(
            [&](auto at, auto& out) { self->session_.on_stream_bytes(call, bytes, at, out); });
      }
    };
    exchange.on_end = [weak, call](EngineResult result) {
      const auto self = weak.lock();
      if (!self) return;
      self->count("events", result);
      std::optional<protocol::Error> error;
      if (!result || result->status != 200) error = protocol_error("event stream", result);
      self->session_step([&](auto at, auto& out) {
        self->session_.on_stream_closed(call, std::move(error), at, out);
      });
    };
    stream_->start(std::move(exchange));
  }

  // --- inspects ---

  /// Which networks we share with others has to be known before the first inspect is answered.
  void find_own_place() {
    if (!inspect_context_.own.container) return;
    placing_ = true;
    single("inspect", versioned("/containers/" + inspect_context_.own.container->hex() + "/json"),
           options_.timeouts.call, protocol::inspect_limits.max_bytes,
           [](Impl& self, EngineResult result) {
             self.placing_ = false;
             const auto own = self.inspect_context_.own.container;
             if (result && result->status == 200) {
               auto place = protocol::parse_own_place(result->body);
               if (place && place->container == own) self.inspect_context_.own = std::move(*place);
             }
             self.pump_inspects();
           });
  }

  void pump_inspects() {
    while (!stopped_ && !placing_ && session_.connected() && waiting_.size() > 0) {
      Connection connection = idle_inspector();
      if (!connection) return;
      auto next = waiting_.pop();
      EngineConnection::Exchange exchange;
      exchange.target = versioned("/containers/" + next->id.hex() + "/json");
      exchange.timeout = options_.timeouts.call;
      exchange.limits.max_body = protocol::inspect_limits.max_bytes;
      exchange.on_end = [weak = weak_from_this(), connection = connection.get(),
                         asked = std::move(*next)](EngineResult result) {
        if (const auto self = weak.lock())
          self->on_inspected(*connection, asked, std::move(result));
      };
      connection->start(std::move(exchange));
      session_step([this](auto at, auto&) { session_.on_call_started(at); });
    }
  }

  Connection idle_inspector() {
    Connection closed;
    for (const auto& connection : inspectors_) {
      if (connection->connected()) return connection;
      if (!connection->busy()) closed = connection;
    }
    if (!closed && inspectors_.size() < options_.connections)
      closed = inspectors_.emplace_back(make_connection());
    return closed;
  }

  void on_inspected(EngineConnection& connection, const WaitingInspect& asked,
                    EngineResult result) {
    count("inspect", result);
    auto answer = read_inspected(asked.id, result, inspect_context_, wall_clock());
    const bool failed = !result;
    result = EngineAnswer{};
    connection.expire_after(idle_connection);
    for (const auto token : asked.tokens) {
      if (stopped_) return;
      answer.token = token;
      sink_(answer);
    }
    session_step(
        [this, failed](auto at, auto& out) { session_.on_call_finished(failed, at, out); });
    pump_inspects();
  }

  void fail_inspect_later(const core::Inspect& action, std::string why) {
    core::Inspected answer;
    answer.id = action.id;
    answer.token = action.token;
    answer.error = std::move(why);
    deliver_later(std::move(answer));
  }

  void drop_calls() {
    for (const auto& connection : inspectors_) connection->cancel();
    // Answers come later, so nothing is added meanwhile.
    while (const auto dropped = waiting_.pop()) {
      for (const auto token : dropped->tokens) {
        fail_inspect_later({dropped->id, token}, "the Engine is lost");
      }
    }
  }

  // --- operations ---

  void on_operated(const Connection& connection, core::OperationId op, core::Step step,
                   EngineResult result) {
    count(to_string(step), result);
    connection->abandon();
    std::erase(operators_, connection);
    if (!result) {
      session_step([this](auto at, auto& out) {
        session_.on_call_started(at);
        session_.on_call_finished(true, at, out);
      });
    }
    if (!stopped_) sink_(read_operation(op, step, result));
  }

  void deliver_later(core::Event event) {
    asio::post(context_, [weak = weak_from_this(), event = std::move(event)]() mutable {
      const auto self = weak.lock();
      if (self && !self->stopped_) self->sink_(std::move(event));
    });
  }

  asio::io_context& context_;
  EngineOptions options_;
  Sink sink_;
  EngineEndpoint endpoint_;
  std::string bad_endpoint_;
  protocol::EngineSession session_;
  protocol::InspectContext inspect_context_;
  std::vector<char> scratch_;
  Alarm alarm_;
  bool started_ = false;
  bool stopped_ = false;
  bool placing_ = false;

  Connection stream_;
  std::vector<Connection> singles_;
  std::vector<Connection> inspectors_;
  std::vector<Connection> operators_;
  InspectQueue waiting_;
  RequestCounters requests_;
  std::uint64_t overflows_ = 0;
};

EngineClient::EngineClient(asio::io_context& context, EngineOptions options, Sink sink)
    : impl_(std::make_shared<Impl>(context, std::move(options), std::move(sink))) {}

EngineClient::~EngineClient() { impl_->stop(); }

void EngineClient::start() { impl_->start(); }
void EngineClient::stop() { impl_->stop(); }
void EngineClient::perform(const core::Inspect& action) { impl_->inspect(action); }
void EngineClient::perform(const core::Relist& action) { impl_->relist(action.after_gap); }
void EngineClient::perform(const core::Operate& action) { impl_->operate(action); }
void EngineClient::reconfigure(protocol::LabelDefaults settings) {
  impl_->reconfigure(std::move(settings));
}
EngineStats EngineClient::stats() const { return impl_->stats(); }

}  // namespace sentinel::io
