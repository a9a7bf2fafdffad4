#include "app/failover_state.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <system_error>

#include "app/config_reader.hpp"
#include "observe/text.hpp"
#include "protocol/json.hpp"
#include "web/views.hpp"

namespace sentinel::app {

namespace {

using core::Time;
using Json = nlohmann::ordered_json;

constexpr std::int64_t version = 1;
constexpr std::int64_t max_unix_ms = std::int64_t{1} << 52U;  // beyond any date
constexpr std::size_t max_text = 128;

Json wall(Time t, const WallClock& clock) {
  if (t == core::never) return nullptr;
  return clock.unix_ms +
         std::chrono::duration_cast<std::chrono::milliseconds>(t - clock.now).count();
}

Time time(const protocol::json::Value& value, const WallClock& clock) {
  const auto ms = value.integer(0, max_unix_ms);
  if (!ms) return core::never;
  return core::after(clock.now, std::chrono::milliseconds{*ms - clock.unix_ms});
}

std::string problem(const char* what) {
  return std::string{what} + ": " + std::generic_category().message(errno);
}

bool write_all(int fd, const std::string& content) {
  std::size_t done = 0;
  while (done < content.size()) {
    const auto n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

std::string format_drains(const std::vector<core::DrainRecord>& drains, const WallClock& clock) {
  Json list = Json::array();
  for (const core::DrainRecord& d : drains) {
    list.push_back({{"pool", d.pool},
                    {"server", d.server},
                    {"by", d.by},
                    {"since", wall(d.since, clock)},
                    {"until", wall(d.until, clock)},
                    {"deadline", wall(d.deadline, clock)},
                    {"finished", d.finished}});
  }
  return web::dump({{"version", version}, {"drains", std::move(list)}}) + "\n";
}

std::expected<std::vector<core::DrainRecord>, std::string> parse_drains(const std::string& text,
                                                                        const WallClock& clock) {
  const auto json = protocol::json::parse(text);
  if (!json) return std::unexpected("no JSON: " + json.error().message);
  if ((*json)["version"].integer(0, max_unix_ms) != version)
    return std::unexpected(std::string{"of another version"});
  std::vector<core::DrainRecord> out;
  for (const auto& one : (*json)["drains"].array()) {
    core::DrainRecord d;
    d.pool = observe::one_line(one["pool"].text(), max_text);
    d.server = observe::one_line(one["server"].text(), max_text);
    d.by = observe::one_line(one["by"].text(), max_text);
    d.since = time(one["since"], clock);
    if (d.since == core::never) d.since = clock.now;
    d.until = time(one["until"], clock);
    d.deadline = time(one["deadline"], clock);
    d.finished = one["finished"].boolean().value_or(false);
    out.push_back(std::move(d));
  }
  return out;
}

std::expected<void, std::string> replace_file(const std::string& path, const std::string& content) {
  const std::string fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return std::unexpected(problem("cannot be created"));
  const bool written = write_all(fd, content) && ::fsync(fd) == 0;
  const std::string failure = written ? std::string{} : problem("cannot be written");
  ::close(fd);
  if (!written) return std::unexpected(failure);
  if (::rename(fresh.c_str(), path.c_str()) != 0)
    return std::unexpected(problem("cannot be replaced"));
  const int folder =
      ::open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    // A file system that cannot do this has its own idea of durability.
    (void)::fsync(folder);
    ::close(folder);
  }
  return {};
}

std::expected<std::vector<core::DrainRecord>, std::string> load_drains(const std::string& path,
                                                                       const WallClock& clock) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return std::vector<core::DrainRecord>{};
  const auto text = read_file(path);
  if (!text) return std::unexpected(text.error());
  return parse_drains(*text, clock);
}

}  // namespace sentinel::app
