#include "log.hpp"

#include "app.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

namespace sentinel::demo {
namespace {

struct Level {
  spdlog::level::level_enum spdlog;
  std::string_view name;
};

Level level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return {spdlog::level::debug, "debug"};
    case LogLevel::info: return {spdlog::level::info, "info"};
    case LogLevel::warning: return {spdlog::level::warn, "warning"};
    case LogLevel::error: break;
  }
  return {spdlog::level::err, "error"};
}

bool& as_json() {
  static bool value = false;
  return value;
}

}  // namespace

void start_log(LogFormat format, bool with_debug) {
  as_json() =
      format == LogFormat::json || (format == LogFormat::automatic && isatty(STDOUT_FILENO) == 0);
  auto logger =
      std::make_shared<spdlog::logger>("demo", std::make_shared<spdlog::sinks::stdout_sink_mt>());
  // The line is complete when spdlog gets it: spdlog escapes nothing and knows no fields.
  logger->set_pattern("%v");
  logger->set_level(with_debug ? spdlog::level::debug : spdlog::level::info);
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void log_line(LogLevel level, std::string_view event, std::string_view message,
              std::initializer_list<LogField> fields) {
  const auto [spdlog_level, level_name] = level_of(level);
  if (!spdlog::should_log(spdlog_level)) {
    return;
  }
  const auto time = rfc3339(std::chrono::system_clock::now());
  std::string line;
  if (as_json()) {
    nlohmann::ordered_json object{
        {"time", time}, {"level", level_name}, {"msg", message}, {"event", event}};
    for (const auto& [name, value] : fields) {
      std::visit([&object, &name](const auto& held) { object[std::string{name}] = held; }, value);
    }
    line = object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  } else {
    line = time;
    line.append(" ").append(level_name).append(" ").append(printable(message));
  }
  spdlog::log(spdlog_level, spdlog::string_view_t{line});
}

std::string printable(std::string_view text) {
  std::string clean{text};
  for (auto& character : clean) {
    if (character < ' ' || character > '~') {
      character = '?';
    }
  }
  return clean;
}

}  // namespace sentinel::demo
