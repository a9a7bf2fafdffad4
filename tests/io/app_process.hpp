#pragma once

// The program under test as a child process.

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace app_test {

using namespace std::chrono_literals;

/// A directory of its own, removed at the end.
class Directory {
 public:
  Directory();
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

struct ProcessOptions {
  std::vector<std::string> environment{};  // NAME=VALUE, besides nothing
  bool read_output = true;                 // false: stdout is a pipe nobody reads
};

class Process {
 public:
  Process(std::vector<std::string> arguments, ProcessOptions options = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const;
  /// Exit status, 128 + signal; nullopt: still running at the deadline.
  std::optional<int> wait(std::chrono::milliseconds deadline = 20s);
  /// Standard output and error so far.
  const std::string& output();
  bool wait_for_output(const std::string& text, std::chrono::milliseconds deadline = 20s);

 private:
  void read_some();
  pid_t pid_ = -1;
  int pipe_ = -1;
  std::optional<int> status_;
  std::string output_;
  bool read_output_ = true;
};

struct Result {
  int status = -1;
  std::string output;
};
/// Runs to its end.
Result run(std::vector<std::string> arguments, ProcessOptions options = {});

/// Looks every few milliseconds until it holds or the deadline passes.
template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds deadline = 20s);

void pause_between_looks();

template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    pause_between_looks();
  }
  return true;
}

}  // namespace app_test
