#include "observe/log.hpp"

#include <poll.h>
#include <pthread.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/sink.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "observe/text.hpp"

namespace sentinel::observe {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto repeat_window = std::chrono::minutes{1};
constexpr std::size_t remembered_sentences = 512;
constexpr auto last_words = std::chrono::milliseconds{500};

/// Writes to a descriptor that may stall for as long as it likes; only stop() ends the patience.
class FdSink final : public spdlog::sinks::sink {
 public:
  explicit FdSink(int fd) : fd_{fd}, wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {}
  ~FdSink() override {
    if (wake_ >= 0) ::close(wake_);
  }
  FdSink(const FdSink&) = delete;
  FdSink& operator=(const FdSink&) = delete;

  void log(const spdlog::details::log_msg& msg) override {
    if (!write_all({msg.payload.data(), msg.payload.size()}))
      lost_.fetch_add(1, std::memory_order_relaxed);
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  void stop() {
    deadline_.store((Clock::now() + last_words).time_since_epoch().count(),
                    std::memory_order_release);
    const std::uint64_t one = 1;
    if (wake_ >= 0 && ::write(wake_, &one, sizeof one) < 0) {
      return;  // the counter is full: it is awake already
    }
  }
  std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  bool write_all(std::string_view data) {
    while (!data.empty()) {
      const auto deadline = deadline_.load(std::memory_order_acquire);
      int patience = -1;
      if (deadline != 0) {
        const Clock::time_point until{Clock::duration{deadline}};
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
        if (left <= 0) return false;
        patience = static_cast<int>(left);
      }
      // Once stopping, the wake-up stays readable and must not make this loop spin.
      std::array<pollfd, 2> fds{pollfd{fd_, POLLOUT, 0},
                                pollfd{deadline == 0 ? wake_ : -1, POLLIN, 0}};
      const int ready = ::poll(fds.data(), fds.size(), patience);
      if (ready < 0 && errno != EINTR) return false;
      if (ready <= 0 || fds[0].revents == 0) continue;
      // PIPE_BUF: a pipe that is writable takes that much without blocking.
      const auto written = ::write(fd_, data.data(), std::min<std::size_t>(data.size(), 4096));
      if (written < 0) {
        if (errno == EINTR || errno == EAGAIN) continue;
        return false;
      }
      data.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

  int fd_;
  int wake_;
  std::atomic<Clock::rep> deadline_{0};
  std::atomic<std::uint64_t> lost_{0};
};

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "info";
}

bool parse_log_level(std::string_view text, LogLevel& out) {
  for (const LogLevel level :
       {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}) {
    if (text == to_string(level)) return out = level, true;
  }
  if (text == "warn") return out = LogLevel::warning, true;
  return false;
}

bool parse_log_format(std::string_view text, LogFormat& out) {
  if (text == "text") return out = LogFormat::text, true;
  if (text == "json") return out = LogFormat::json, true;
  return false;
}

LogFormat default_log_format(int fd) {
  return ::isatty(fd) == 1 ? LogFormat::text : LogFormat::json;
}

std::string format_line(const LogRecord& record, LogFormat format, std::int64_t unix_ms,
                        std::size_t max_bytes) {
  if (format == LogFormat::text) {
    std::string line = rfc3339(unix_ms);
    line += ' ';
    line += to_string(record.level);
    line += ' ';
    line += one_line(record.msg, max_bytes);
    return line;
  }
  nlohmann::ordered_json object;
  object["time"] = rfc3339(unix_ms);
  object["level"] = to_string(record.level);
  object["msg"] = one_line(record.msg, max_bytes);
  if (!record.event.empty()) object["event"] = record.event;
  for (const LogField& field : record.fields) {
    std::visit(
        [&](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
            object[field.key] = one_line(value, max_bytes);
          } else {
            object[field.key] = value;
          }
        },
        field.value);
  }
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

class Log::Impl {
 public:
  explicit Impl(LogOptions options)
      : options_{options},
        level_{options.level},
        sink_{std::make_shared<FdSink>(options.fd)},
        pool_{std::make_shared<spdlog::details::thread_pool>(
            std::clamp<std::size_t>(options.queue_lines, 1, 65'536), 1,
            [] {
              // Signals belong to the loop; SIGPIPE of a closed stdout becomes EPIPE.
              sigset_t all;
              ::sigfillset(&all);
              ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
            },
            [] {})},
        logger_{std::make_shared<spdlog::async_logger>(
            "sentinel", sink_, pool_, spdlog::async_overflow_policy::overrun_oldest)} {
    logger_->set_level(spdlog::level::debug);
  }

  ~Impl() {
    sink_->stop();
    logger_.reset();
    pool_.reset();  // joins; the sink gives up after its last words
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void write(const LogRecord& record) {
    if (record.level < level_.load(std::memory_order_relaxed)) return;
    std::uint64_t skipped = 0;
    // At debug level a person wants to see all of it.
    if (record.level != LogLevel::debug && !pass(record, skipped)) {
      ++suppressed_;
      return;
    }
    using namespace std::chrono;
    const std::int64_t ms =
        duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
    std::string line;
    if (skipped == 0) {
      line = format_line(record, options_.format, ms, options_.max_line_bytes);
    } else {
      LogRecord copy = record;
      const std::string msg =
          std::string{record.msg} + " (" + std::to_string(skipped) + " more like it not shown)";
      copy.msg = msg;
      line = format_line(copy, options_.format, ms, options_.max_line_bytes);
    }
    line += '\n';
    logger_->log(to_spdlog(record.level), spdlog::string_view_t{line.data(), line.size()});
  }

  bool pass(const LogRecord& record, std::uint64_t& skipped) {
    const auto now = Clock::now();
    if (repeats_.size() >= remembered_sentences) {
      std::erase_if(repeats_, [&](const auto& e) { return now - e.second.since >= repeat_window; });
      if (repeats_.size() >= remembered_sentences) repeats_.clear();
    }
    const std::size_t key =
        std::hash<std::string_view>{}(record.msg) ^ static_cast<std::size_t>(record.level);
    auto [it, fresh] = repeats_.try_emplace(key, Repeat{now, 0, 0});
    Repeat& repeat = it->second;
    if (!fresh && now - repeat.since >= repeat_window) {
      skipped = repeat.skipped;
      repeat = {now, 0, 0};
    }
    if (repeat.seen >= options_.repeats) {
      ++repeat.skipped;
      return false;
    }
    ++repeat.seen;
    return true;
  }

  struct Repeat {
    Clock::time_point since;
    unsigned seen = 0;
    std::uint64_t skipped = 0;
  };

  LogOptions options_;
  std::atomic<LogLevel> level_;
  std::uint64_t suppressed_ = 0;
  std::unordered_map<std::size_t, Repeat> repeats_;
  std::shared_ptr<FdSink> sink_;
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::shared_ptr<spdlog::async_logger> logger_;
};

Log::Log(LogOptions options) : impl_{std::make_unique<Impl>(options)} {}
Log::~Log() = default;

bool Log::enabled(LogLevel level) const {
  return level >= impl_->level_.load(std::memory_order_relaxed);
}
void Log::set_level(LogLevel level) { impl_->level_.store(level, std::memory_order_relaxed); }

void Log::write(const LogRecord& record) noexcept {
  try {
    impl_->write(record);
  } catch (...) {  // out of memory: the line is lost, the daemon is not
    ++impl_->suppressed_;
  }
}

std::uint64_t Log::dropped() const {
  return impl_->pool_->overrun_counter() + impl_->sink_->lost();
}
std::uint64_t Log::suppressed() const { return impl_->suppressed_; }

}  // namespace sentinel::observe
