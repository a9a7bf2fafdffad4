#pragma once

// The last lines a container wrote, through the Engine (GET /containers/ID/logs): evidence for an
// incident. Each on a connection of its own, so that what heals never waits behind it; at most four
// at once, the others wait.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "core/time.hpp"
#include "core/types.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct ContainerLogsOptions {
  std::string endpoint;  // of the Engine, see parse_engine_endpoint()
  /// The version agreed with the Engine, `1.41`; empty: the Engine is lost.
  std::function<std::string()> api_version;
  unsigned lines = 20;
  std::size_t keep = 4096;                      // bytes, the newest
  std::size_t limit = std::size_t{256} << 10U;  // bytes that are read; lines can be long
  core::Duration timeout = std::chrono::seconds{5};
  unsigned concurrency = 4;
  std::size_t waiting = 1000;  // more are answered empty at once
};

class ContainerLogs {
 public:
  /// The text has line feeds, is safe to print (protocol::many_lines) and empty when there is
  /// nothing to be had, for whatever reason: logs are a help, not a duty.
  using Done = std::function<void(std::string text)>;

  ContainerLogs(boost::asio::io_context& context, ContainerLogsOptions options);
  ~ContainerLogs();
  ContainerLogs(const ContainerLogs&) = delete;
  ContainerLogs& operator=(const ContainerLogs&) = delete;

  /// `done` is called once, from the io_context, never from inside; not after stop().
  void fetch(const core::ContainerId& container, Done done);
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
