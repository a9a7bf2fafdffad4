#include "io/probe_exec.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <format>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "io/engine_connection.hpp"
#include "io/probe_text.hpp"
#include "io/runtime.hpp"
#include "protocol/engine_json.hpp"
#include "protocol/escape.hpp"
#include "protocol/exec_stream.hpp"
#include "protocol/json.hpp"

namespace sentinel::io {
namespace asio = boost::asio;
using core::ProbeOutcome;
using core::ProbeReason;

namespace {

constexpr std::size_t scratch_bytes = std::size_t{16} << 10U;
constexpr std::uint64_t small_body = std::uint64_t{256} << 10U;
constexpr std::size_t shown_bytes = 200;
constexpr std::size_t hung_limit = 4096;
constexpr core::Duration longest_call = std::chrono::hours{1};  // the prober's timeout is shorter
constexpr core::Duration first_look = std::chrono::milliseconds{20};
constexpr core::Duration slowest_look = std::chrono::seconds{1};

class ExecRun;

struct Shared {
  Shared(asio::io_context& loop, ExecProbeOptions given)
      : context(loop), options(std::move(given)), scratch(scratch_bytes) {
    if (auto parsed = parse_engine_endpoint(options.endpoint)) endpoint = std::move(*parsed);
  }

  asio::io_context& context;
  ExecProbeOptions options;
  EngineEndpoint endpoint;
  std::vector<char> scratch;
  unsigned running = 0;
  std::deque<ExecRun*> waiting;
  std::unordered_map<std::string, std::string> hung;  // container and command -> exec id
};

std::string command_json(const std::vector<std::string>& command) {
  std::string text;
  for (const auto& word : command) text += (text.empty() ? "[" : ",") + protocol::json::quote(word);
  return text.empty() ? "[]" : text + "]";
}

bool cannot_start(std::string_view text) { return text.contains("OCI runtime exec failed"); }

ProbeOutcome with_code(ProbeOutcome outcome, unsigned code) {
  outcome.code = code;
  return outcome;
}

/// Codes 126 and 127 are a shell's and the runtime's words for a command that was never run.
ProbeOutcome not_run(const std::string& command, std::string_view why, unsigned code) {
  const auto name = protocol::one_line(command, shown_bytes);
  if (why.contains("executable file not found") || why.contains("no such file or directory"))
    return with_code(failed(ProbeReason::status, name + " is not found in the container"), code);
  if (why.contains("permission denied"))
    return with_code(failed(ProbeReason::status, name + " may not be run in the container"), code);
  auto sentence = name + " cannot be run in the container";
  if (const auto line = protocol::first_line(why, shown_bytes); !line.empty())
    sentence += ": " + line;
  return with_code(failed(ProbeReason::status, std::move(sentence)), code);
}

class ExecRun final : public ProbeRun {
 public:
  explicit ExecRun(std::shared_ptr<Shared> shared)
      : shared_(std::move(shared)),
        alarm_(shared_->context, [this] { inspect(); }),
        stream_(shared_->options.output_bytes) {}
  ~ExecRun() override { ExecRun::abandon(); }

  void begin(ProbeTask task, Done done) override {
    task_ = std::move(task);
    done_ = std::move(done);
    exec_id_.clear();
    stream_ = protocol::ExecStream(shared_->options.output_bytes);
    read_ = 0;
    look_after_ = first_look;
    key_ = task_.container.hex() + command_json(task_.spec->exec.command);
    stage_ = Stage::waiting;
    version_ = shared_->options.api_version();
    if (version_.empty()) return finish_later(failed(ProbeReason::internal, "the Engine is lost"));
    if (task_.spec->exec.command.empty())
      return finish_later(failed(ProbeReason::internal, "the probe has no command"));
    if (shared_->running < shared_->options.concurrency) {
      take_turn();
    } else {
      shared_->waiting.push_back(this);
    }
  }

  ProbeOutcome timed_out() override {
    const auto within = " within " + for_people(task_.spec->timeout);
    ProbeOutcome outcome;
    switch (stage_) {
      case Stage::idle:
      case Stage::waiting:
        outcome = failed(ProbeReason::internal, "too many commands run at once");
        break;
      case Stage::hung:
      case Stage::creating:
        outcome = failed(ProbeReason::internal, "no answer from the Engine" + within);
        break;
      case Stage::running: {
        auto sentence = "the command did not end" + within;
        if (const auto line = protocol::first_line(stream_.output(), shown_bytes); !line.empty())
          sentence += ": " + line;
        outcome = failed(ProbeReason::timeout, std::move(sentence));
      }
    }
    remember_hung();
    abandon();
    return outcome;
  }

  void abandon() override {
    ++number_;
    alarm_.set(std::nullopt);
    if (connection_) connection_->abandon();
    connection_.reset();
    done_ = nullptr;
    if (stage_ == Stage::waiting) std::erase(shared_->waiting, this);
    const bool had_turn = stage_ > Stage::waiting;
    stage_ = Stage::idle;
    if (had_turn) give_turn();
  }

 private:
  enum class Stage : std::uint8_t { idle, waiting, hung, creating, running };
  using Handler = void (ExecRun::*)(EngineResult);

  void take_turn() {
    ++shared_->running;
    const auto at = shared_->hung.find(key_);
    if (at == shared_->hung.end()) {
      create();
    } else {
      stage_ = Stage::hung;
      call("GET", "/exec/" + at->second + "/json", {}, &ExecRun::on_hung);
    }
  }

  void give_turn() {
    --shared_->running;
    if (shared_->waiting.empty()) return;
    ExecRun* next = shared_->waiting.front();
    shared_->waiting.pop_front();
    next->take_turn();
  }

  EngineConnection::Exchange exchange(std::string method, std::string target, std::string body,
                                      Handler handler) {
    EngineConnection::Exchange exchange;
    exchange.method = std::move(method);
    exchange.target = "/v" + version_ + std::move(target);
    exchange.body = std::move(body);
    exchange.timeout = longest_call;
    exchange.limits.max_body = small_body;
    exchange.on_end = [this, handler](EngineResult result) { (this->*handler)(std::move(result)); };
    return exchange;
  }

  /// Handlers end with us: whoever destroys or abandons a run abandons its connection.
  void start(EngineConnection::Exchange exchange) {
    if (connection_) connection_->abandon();
    connection_ = std::make_shared<EngineConnection>(shared_->context, shared_->endpoint,
                                                     longest_call, std::span(shared_->scratch));
    connection_->start(std::move(exchange));
  }

  void call(std::string method, std::string target, std::string body, Handler handler) {
    start(exchange(std::move(method), std::move(target), std::move(body), handler));
  }

  void on_hung(EngineResult result) {
    if (!result) return finish(failed(ProbeReason::internal, std::move(result.error().text)));
    const auto state = protocol::json::parse(result->body, protocol::small_limits);
    if (result->status == 200 && state && (*state)["Running"].boolean().value_or(false)) {
      return finish(failed(ProbeReason::timeout, "the command of an earlier run has not ended"));
    }
    shared_->hung.erase(key_);
    create();
  }

  void create() {
    stage_ = Stage::creating;
    call("POST", "/containers/" + task_.container.hex() + "/exec",
         R"({"AttachStdin":false,"AttachStdout":true,"AttachStderr":true,"Tty":false,"Cmd":)" +
             command_json(task_.spec->exec.command) + "}",
         &ExecRun::on_created);
  }

  void on_created(EngineResult result) {
    if (!result || result->status != 201)
      return finish(failed(ProbeReason::internal, result_text("exec", result)));
    const auto answer = protocol::json::parse(result->body, protocol::small_limits);
    // Exec ids have the shape of container ids.
    const auto id = answer ? core::ContainerId::parse((*answer)["Id"].text()) : std::nullopt;
    if (!id) return finish(failed(ProbeReason::internal, "exec: the Engine's answer has no id"));
    exec_id_ = id->hex();
    stage_ = Stage::running;
    auto run = exchange("POST", "/exec/" + exec_id_ + "/start", R"({"Detach":false,"Tty":false})",
                        &ExecRun::on_ended);
    run.limits.max_body = UINT64_MAX;
    run.on_head = [] {};
    run.on_body = [this](std::string_view bytes) { on_output(bytes); };
    start(std::move(run));
  }

  void on_output(std::string_view bytes) {
    read_ += bytes.size();
    if (read_ > shared_->options.output_limit) {
      remember_hung();
      return finish(failed(ProbeReason::protocol, "the command writes without end"));
    }
    if (const auto taken = stream_.take(bytes); !taken) {
      remember_hung();
      finish(failed(ProbeReason::internal, taken.error().message));
    }
  }

  void on_ended(EngineResult result) {
    if (!result) {
      remember_hung();
      return finish(failed(ProbeReason::internal, std::move(result.error().text)));
    }
    if (result->status != 200) {
      const auto why = protocol::error_message(result->body);
      if (cannot_start(why)) return finish(not_run(task_.spec->exec.command.front(), why, 126));
      return finish(failed(ProbeReason::internal, result_text("exec", result)));
    }
    inspect();
  }

  void inspect() { call("GET", "/exec/" + exec_id_ + "/json", {}, &ExecRun::on_inspected); }

  void on_inspected(EngineResult result) {
    if (!result || result->status != 200)
      return finish(failed(ProbeReason::internal, result_text("exec", result)));
    const auto state = protocol::json::parse(result->body, protocol::small_limits);
    const auto code = state ? (*state)["ExitCode"].integer(0, 255) : std::nullopt;
    if (state && (*state)["Running"].boolean().value_or(false)) {
      // Its output is closed and it goes on: a daemon, or the Engine has yet to see the end. No
      // event reaches us here, so it is asked again, ever more slowly, until the timeout.
      alarm_.set(core::after(now(), look_after_));
      look_after_ = std::min(look_after_ * 2, slowest_look);
      return;
    }
    if (!code)
      return finish(failed(ProbeReason::internal, "exec: the Engine's answer has no code"));
    finish(judge(static_cast<unsigned>(*code)));
  }

  ProbeOutcome judge(unsigned code) const {
    if (code == 0) {
      ProbeOutcome outcome;
      outcome.verdict = core::Verdict::pass;
      return outcome;
    }
    if (code == 127 || (code == 126 && cannot_start(stream_.output())))
      return not_run(task_.spec->exec.command.front(), stream_.output(), code);
    auto sentence = std::format("exit code {}", code);
    if (const auto line = protocol::first_line(stream_.output(), shown_bytes); !line.empty())
      sentence += ": " + line;
    return with_code(failed(ProbeReason::status, std::move(sentence)), code);
  }

  void remember_hung() {
    if (stage_ != Stage::running) return;
    auto& hung = shared_->hung;
    if (hung.size() >= hung_limit) hung.erase(hung.begin());  // mostly of containers long gone
    hung[key_] = exec_id_;
  }

  void finish_later(ProbeOutcome outcome) {
    asio::post(shared_->context, [alive = std::weak_ptr(alive_), number = number_,
                                  outcome = std::move(outcome)]() mutable {
      const auto self = alive.lock();
      if (self && (*self)->number_ == number) (*self)->finish(std::move(outcome));
    });
  }

  void finish(ProbeOutcome outcome) {
    const Done done = std::move(done_);
    abandon();
    if (done) done(std::move(outcome));
  }

  std::shared_ptr<Shared> shared_;
  std::shared_ptr<ExecRun*> alive_ = std::make_shared<ExecRun*>(this);
  ProbeTask task_;
  Done done_;
  Stage stage_ = Stage::idle;
  std::uint64_t number_ = 0;
  std::string key_;
  std::string version_;
  std::string exec_id_;
  std::shared_ptr<EngineConnection> connection_;
  Alarm alarm_;
  protocol::ExecStream stream_;
  std::size_t read_ = 0;
  core::Duration look_after_{};
};

}  // namespace

std::function<std::unique_ptr<ProbeRun>()> exec_runs(asio::io_context& context,
                                                     ExecProbeOptions options) {
  return [shared = std::make_shared<Shared>(context, std::move(options))] {
    return std::make_unique<ExecRun>(shared);
  };
}

}  // namespace sentinel::io
