#include "app_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>

namespace app_test {

Directory::Directory() {
  std::string name = "/tmp/sentinel-app-XXXXXX";
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}
Directory::~Directory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}
void Directory::write(const std::string& name, const std::string& text) const {
  std::ofstream{file(name)} << text;
}

Process::Process(std::vector<std::string> arguments, ProcessOptions options)
    : read_output_{options.read_output} {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  std::string program = SENTINEL_PROGRAM;
  std::vector<char*> argv{program.data()};
  argv.reserve(arguments.size() + 2);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  envp.reserve(options.environment.size() + 1);
  for (std::string& variable : options.environment) envp.push_back(variable.data());
  envp.push_back(nullptr);
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::execve(program.c_str(), argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  pipe_ = ends[0];
  ::fcntl(pipe_, F_SETFL, O_NONBLOCK);
  // Full after a few lines.
  if (!read_output_) ::fcntl(pipe_, F_SETPIPE_SZ, 4096);
}

Process::~Process() {
  if (!status_) {
    ::kill(pid_, SIGKILL);
    int ignored = 0;
    ::waitpid(pid_, &ignored, 0);
  }
  ::close(pipe_);
}

void Process::signal(int number) const {
  REQUIRE_FALSE(status_);
  ::kill(pid_, number);
}

void Process::read_some() {
  if (!read_output_) return;
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto n = ::read(pipe_, buffer.data(), buffer.size());
    if (n <= 0) return;
    output_.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

std::optional<int> Process::wait(std::chrono::milliseconds deadline) {
  eventually(
      [this] {
        read_some();
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
        status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return true;
      },
      deadline);
  read_some();
  return status_;
}

const std::string& Process::output() {
  read_some();
  return output_;
}

bool Process::wait_for_output(const std::string& text, std::chrono::milliseconds deadline) {
  return eventually([&] { return output().find(text) != std::string::npos; }, deadline);
}

Result run(std::vector<std::string> arguments, ProcessOptions options) {
  Process process{std::move(arguments), std::move(options)};
  const auto status = process.wait();
  return {status.value_or(-1), process.output()};
}

void pause_between_looks() { ::poll(nullptr, 0, 5); }

}  // namespace app_test
