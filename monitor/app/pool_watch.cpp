#include "app/pool_watch.hpp"

#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <utility>

#include "app/daemon.hpp"
#include "observe/text.hpp"
#include "protocol/pools.hpp"

namespace sentinel::app {

namespace {

constexpr std::size_t longest_reason = 400;

io::LocalCallerOptions caller_options(const FailoverSocket& socket) {
  return {.path = socket.path,
          .peer = "the failover",
          .timeout = std::chrono::seconds{5},
          .max_body = protocol::max_reported_body};
}

web::KnownPools::Answer read(const io::LocalCaller::Result& result) {
  const auto silent = [](std::string text, bool absent = false) {
    return std::unexpected(web::FailoverSilence{observe::one_line(text, longest_reason), absent});
  };
  if (!result) return silent(result.error().text, result.error().code == ENOENT);
  if (result->status != 200) {
    const std::string words = protocol::problem_text(result->body);
    return silent("it answered " + std::to_string(result->status) +
                  (words.empty() ? "" : ": " + words));
  }
  auto pools = protocol::parse_pools(result->body);
  if (!pools) return silent("what it says cannot be shown: " + pools.error().message);
  return *std::move(pools);
}

}  // namespace

PoolWatch::PoolWatch(boost::asio::io_context& context, observe::Log& log, web::Api& api,
                     FailoverSocket socket)
    : log_{log},
      api_{api},
      socket_{std::move(socket)},
      known_{socket_.expected},
      questions_{context, caller_options(socket_)},
      changes_{context, caller_options(socket_)},
      alarm_{context, [this] { ask(); }} {}

void PoolWatch::start() {
  if (socket_.path.empty()) return;
  running_ = true;
  api_.set_failover(backend());
  ask();
}

void PoolWatch::stop() {
  running_ = false;
  alarm_.set(std::nullopt);
  questions_.stop();
  changes_.stop();
  waiting_.clear();
}

web::FailoverBackend PoolWatch::backend() {
  web::FailoverBackend backend;
  backend.state = [this]() -> const web::FailoverState& { return known_.state(); };
  backend.on_interest = [this] {
    known_.on_interest(io::now());
    arm();
  };
  backend.refresh = [this](std::function<void()> done) { refresh(std::move(done)); };
  backend.change = [this](std::string target, std::string body, web::FailoverBackend::Done done) {
    return change(std::move(target), std::move(body), std::move(done));
  };
  return backend;
}

void PoolWatch::refresh(std::function<void()> done) {
  const core::Time now = io::now();
  known_.on_interest(now);
  if (!running_ || (known_.fresh(now) && !again_)) return done();
  waiting_.push_back(std::move(done));
  ask();
}

bool PoolWatch::change(std::string target, std::string body, web::FailoverBackend::Done done) {
  return changes_.call(std::move(target), std::move(body),
                       [this, done = std::move(done)](io::LocalCaller::Result result) {
                         known_.on_interest(io::now());
                         again_ = true;  // what is on its way may be from before
                         ask();
                         if (!result) return done(std::unexpected(result.error().text));
                         done(web::FailoverAnswer{result->status, std::move(result->body)});
                       });
}

void PoolWatch::ask() {
  if (!running_) return;
  const bool begun = questions_.call("/api/v1/pools", {}, [this](io::LocalCaller::Result result) {
    on_answer(std::move(result));
  });
  if (!begun) return;
  again_ = false;
  alarm_.set(std::nullopt);
}

void PoolWatch::on_answer(io::LocalCaller::Result result) {
  const bool was_up = known_.state().up;
  const web::PoolChanges changes = known_.on(read(result), io::now(), unix_ms());
  tell_log(was_up);
  if (changes.any()) {
    api_.live().on(changes);
    api_.live().tell();
  }
  // Who came after a change waits for an answer from after it.
  if (again_) return ask();
  for (const auto& done : std::exchange(waiting_, {})) done();
  arm();
}

void PoolWatch::tell_log(bool was_up) {
  const web::FailoverState& state = known_.state();
  if (state.up == was_up && (state.up || said_ || !state.configured)) return;
  said_ = !state.up;
  const std::string who = "the failover at " + socket_.path;
  if (state.up)
    log_.info("sentinel.failover", who + " answers");
  else if (state.as_of)
    log_.warning("sentinel.failover", who + " does not answer: " + state.reason);
  else  // both may have been started just now
    log_.info("sentinel.failover", who + " does not answer yet: " + state.reason);
}

void PoolWatch::arm() {
  if (running_ && !questions_.busy()) alarm_.set(known_.next(api_.live().listeners() > 0));
}

}  // namespace sentinel::app
