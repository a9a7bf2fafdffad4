#pragma once

// Network namespaces for tests: made by this process, in threads of their own, gone with the last
// socket and the object. Needs root.

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

namespace sentinel::test {

/// Runs a shell command in the present namespace; what it prints, or throws when it fails.
inline std::string shell(const std::string& command, bool must_succeed = true) {
  FILE* pipe = popen(("( " + command + " ) 2>&1").c_str(), "re");
  if (pipe == nullptr) throw std::runtime_error("popen");
  std::string out;
  char part[4096];
  for (std::size_t size = 0; (size = fread(part, 1, sizeof part, pipe)) > 0;)
    out.append(part, size);
  const int status = pclose(pipe);
  if (status != 0 && must_succeed) throw std::runtime_error(command + ": " + out);
  return out;
}

class Namespace {
 public:
  /// A new namespace with its loopback up; the calling thread stays where it was.
  Namespace() {
    const int home = current();
    if (unshare(CLONE_NEWNET) != 0)
      throw std::system_error(errno, std::generic_category(), "unshare");
    fd_ = current();
    shell("ip link set lo up");
    enter(home);
    close(home);
  }
  ~Namespace() { close(fd_); }
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  /// What `ip link set ... netns` takes.
  std::string path() const {
    return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd_);
  }

  /// The calling thread is in the namespace for as long as this lives.
  class Inside {
   public:
    explicit Inside(const Namespace& where) : home_(current()) { enter(where.fd_); }
    ~Inside() {
      setns(home_, CLONE_NEWNET);
      close(home_);
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    int home_;
  };

 private:
  static int current() {
    const int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw std::system_error(errno, std::generic_category(), "the network namespace");
    return fd;
  }
  static void enter(int fd) {
    if (setns(fd, CLONE_NEWNET) != 0)
      throw std::system_error(errno, std::generic_category(), "setns");
  }
  int fd_ = -1;
};

}  // namespace sentinel::test
