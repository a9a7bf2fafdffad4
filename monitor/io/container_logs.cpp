#include "io/container_logs.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "io/engine_connection.hpp"
#include "protocol/escape.hpp"
#include "protocol/exec_stream.hpp"

namespace sentinel::io {
namespace asio = boost::asio;

namespace {

constexpr std::size_t scratch_bytes = std::size_t{16} << 10U;

/// The end of what was written, from the beginning of a line where that is possible.
std::string newest(std::string_view text, std::size_t keep) {
  // Escaping makes characters longer: cut before it, and bound after it.
  if (text.size() > keep) {
    text.remove_prefix(text.size() - keep);
    const auto line = text.find('\n');
    if (line != std::string_view::npos && line + 1 < text.size()) text.remove_prefix(line + 1);
  }
  return protocol::many_lines(text, keep);
}

/// Without a terminal the Engine frames both streams; with one it does not, and on API 1.41 nothing
/// says which it is.
std::string plain(const std::string& body) {
  protocol::ExecStream frames(body.size());
  if (frames.take(body) && frames.whole()) return frames.output();
  return body;
}

}  // namespace

struct ContainerLogs::Impl : std::enable_shared_from_this<Impl> {
  struct Wanted {
    core::ContainerId container;
    Done done;
  };

  Impl(asio::io_context& loop, ContainerLogsOptions given)
      : context(loop), options(std::move(given)), scratch(scratch_bytes) {
    if (auto parsed = parse_engine_endpoint(options.endpoint)) endpoint = std::move(*parsed);
  }

  void answer_later(Done done) {
    asio::post(context, [self = shared_from_this(), done = std::move(done)] {
      if (!self->stopped) done({});
    });
  }

  void fetch(const core::ContainerId& container, Done done) {
    if (stopped) return;
    if (running.size() >= options.concurrency) {
      if (waiting.size() >= options.waiting) return answer_later(std::move(done));
      waiting.push_back({container, std::move(done)});
      return;
    }
    begin({container, std::move(done)});
  }

  void begin(Wanted wanted) {
    const std::string version = options.api_version();
    if (version.empty()) return answer_later(std::move(wanted.done));
    const std::uint64_t number = ++last;
    EngineConnection::Exchange exchange;
    exchange.target = "/v" + version + "/containers/" + wanted.container.hex() +
                      "/logs?stdout=1&stderr=1&tail=" + std::to_string(options.lines);
    exchange.timeout = options.timeout;
    exchange.limits.max_body = options.limit;
    exchange.on_end = [this, number, done = std::move(wanted.done)](const EngineResult& result) {
      // The connection is still at work on this call: it goes when it has returned.
      asio::post(context, [self = shared_from_this(), number] { self->ended(number); });
      done(result && result->status == 200 ? newest(plain(result->body), options.keep)
                                           : std::string{});
    };
    auto connection =
        std::make_shared<EngineConnection>(context, endpoint, options.timeout, std::span(scratch));
    running.emplace(number, connection);
    connection->start(std::move(exchange));
  }

  void ended(std::uint64_t number) {
    running.erase(number);
    while (!stopped && !waiting.empty() && running.size() < options.concurrency) {
      Wanted next = std::move(waiting.front());
      waiting.pop_front();
      begin(std::move(next));
    }
  }

  void stop() {
    stopped = true;
    for (auto& [number, connection] : running) connection->abandon();
    running.clear();
    waiting.clear();
  }

  asio::io_context& context;
  ContainerLogsOptions options;
  EngineEndpoint endpoint;
  std::vector<char> scratch;
  std::map<std::uint64_t, std::shared_ptr<EngineConnection>> running;
  std::deque<Wanted> waiting;
  std::uint64_t last = 0;
  bool stopped = false;
};

ContainerLogs::ContainerLogs(asio::io_context& context, ContainerLogsOptions options)
    : impl_(std::make_shared<Impl>(context, std::move(options))) {}

ContainerLogs::~ContainerLogs() { stop(); }

void ContainerLogs::fetch(const core::ContainerId& container, Done done) {
  impl_->fetch(container, std::move(done));
}

void ContainerLogs::stop() { impl_->stop(); }

}  // namespace sentinel::io
