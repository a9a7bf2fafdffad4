#include "app/regular_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace sentinel::app {

std::expected<std::string, std::string> read_regular_file(const std::string& path,
                                                          std::size_t most) {
  // A FIFO without a writer would not even be opened.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return std::unexpected(std::generic_category().message(errno));
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return std::unexpected("it is no regular file");
  }
  std::string content(most, '\0');
  std::size_t have = 0;
  int error = 0;
  while (have < content.size()) {
    const auto n = ::read(fd, content.data() + have, content.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error = errno;
    if (n <= 0) break;
    have += static_cast<std::size_t>(n);
  }
  ::close(fd);
  if (error != 0) return std::unexpected(std::generic_category().message(error));
  content.resize(have);
  content.shrink_to_fit();
  return content;
}

}  // namespace sentinel::app
