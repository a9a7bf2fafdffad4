#include "observe/process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <ctime>
#include <string_view>

namespace sentinel::observe {

namespace {

/// The files of interest fit into one read; the rest of a longer one is of no interest.
template <std::size_t Size>
std::string_view slurp(const char* path, std::array<char, Size>& buffer) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const auto n = ::read(fd, buffer.data(), buffer.size());
  ::close(fd);
  return n > 0 ? std::string_view{buffer.data(), static_cast<std::size_t>(n)} : std::string_view{};
}

std::uint64_t next_number(std::string_view& text) {
  while (!text.empty() && (text.front() < '0' || text.front() > '9')) text.remove_prefix(1);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return error == std::errc{} ? value : 0;
}

/// Seconds since 1970 at which this machine started; taken once, so that a clock set later does not
/// move the start time.
double boot_time() {
  static const double value = [] {
    timespec wall{};
    timespec boot{};
    ::clock_gettime(CLOCK_REALTIME, &wall);
    ::clock_gettime(CLOCK_BOOTTIME, &boot);
    return static_cast<double>(wall.tv_sec - boot.tv_sec) +
           static_cast<double>(wall.tv_nsec - boot.tv_nsec) * 1e-9;
  }();
  return value;
}

std::uint64_t count_fds() {
  DIR* dir = ::opendir("/proc/self/fd");
  if (dir == nullptr) return 0;
  std::uint64_t count = 0;
  // readdir is safe here: the stream is our own.
  while (const dirent* entry = ::readdir(dir)) {  // NOLINT(concurrency-mt-unsafe)
    if (entry->d_name[0] != '.') ++count;
  }
  ::closedir(dir);
  return count > 0 ? count - 1 : 0;  // without the directory itself
}

}  // namespace

ProcessFigures process_figures() {
  ProcessFigures figures;
  const auto tick = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::array<char, 2048> buffer{};
  std::string_view stat = slurp("/proc/self/stat", buffer);
  // The name in parentheses may hold anything; fields are counted from its end: state is the third.
  const auto end_of_name = stat.rfind(')');
  if (end_of_name != std::string_view::npos && tick > 0) {
    stat.remove_prefix(end_of_name + 1);
    std::array<std::string_view, 22> fields{};
    for (std::string_view& field : fields) {
      while (!stat.empty() && stat.front() == ' ') stat.remove_prefix(1);
      const auto length = stat.find(' ');
      field = stat.substr(0, length);
      stat.remove_prefix(field.size());
    }
    const auto number = [&](std::size_t man_page_index) {
      std::string_view text = fields[man_page_index - 3];
      return next_number(text);
    };
    figures.cpu_seconds = static_cast<double>(number(14) + number(15)) / tick;
    figures.threads = number(20);
    figures.start_time_seconds = boot_time() + static_cast<double>(number(22)) / tick;
    figures.virtual_bytes = number(23);
    figures.resident_bytes = number(24) * page;
  }
  figures.open_fds = count_fds();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    figures.max_fds = limit.rlim_cur;
  return figures;
}

}  // namespace sentinel::observe
