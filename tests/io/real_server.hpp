#pragma once

// A real server as a child process, in a folder and a mount namespace of its own and in the network
// namespace of the thread that starts it. Needs root.

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace sentinel::test {

/// Looks every few milliseconds until it holds or the deadline passes.
template <typename Condition>
bool eventually(Condition condition, std::chrono::seconds limit = std::chrono::seconds{60}) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    ::poll(nullptr, 0, 10);
  }
  return true;
}

/// Whether somebody accepts connections on this port of the loopback interface.
inline bool accepts(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool good = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return good;
}

class RealServer {
 public:
  /// `command` is for a shell whose present folder is folder(); it is run by start().
  RealServer(std::string command, std::vector<std::uint16_t> ports)
      : command_(std::move(command)), ports_(std::move(ports)) {
    folder_ = (std::filesystem::temp_directory_path() / "peer-XXXXXX").string();
    REQUIRE(::mkdtemp(folder_.data()) != nullptr);
    std::filesystem::permissions(folder_, std::filesystem::perms{0755});
    log_ = folder_ + "/log";
  }
  ~RealServer() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  RealServer(const RealServer&) = delete;
  RealServer& operator=(const RealServer&) = delete;

  const std::string& folder() const { return folder_; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  void start() {
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) run();
    const bool ready = eventually([this] {
      for (const auto port : ports_)
        if (!accepts(port)) return false;
      return true;
    });
    INFO(read("log"));
    REQUIRE(ready);
  }
  /// To it and to what it forked, which share a session.
  void signal(int number) const {
    if (pid_ > 0) ::kill(-pid_, number);
  }
  void kill() {
    if (pid_ <= 0) return;
    signal(SIGKILL);
    int ignored = 0;
    ::waitpid(pid_, &ignored, 0);
    pid_ = -1;
  }

 private:
  /// In the child of a process with threads, where nothing may be allocated any more.
  [[noreturn]] void run() const {
    ::setsid();
    const int log = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    if (::chdir(folder_.c_str()) != 0 || ::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      ::_exit(126);
    ::execl("/bin/sh", "sh", "-c", command_.c_str(), nullptr);
    ::_exit(127);
  }

  const std::string command_;
  const std::vector<std::uint16_t> ports_;
  std::string folder_;
  std::string log_;
  pid_t pid_ = -1;
};

}  // namespace sentinel::test
