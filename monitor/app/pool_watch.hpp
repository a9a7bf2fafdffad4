#pragma once

// Asks the failover beside the monitor for its pools, over its Unix socket: every 2 s while
// somebody looks, every 15 s otherwise, and at once after a change, which goes the same way. What
// comes of it is the API's (web/known_pools.hpp). One call of each kind at a time.

#include <functional>
#include <vector>

#include "app/config.hpp"
#include "io/local_caller.hpp"
#include "io/runtime.hpp"
#include "observe/log.hpp"
#include "web/api.hpp"
#include "web/known_pools.hpp"

namespace sentinel::app {

class PoolWatch {
 public:
  /// `log` and `api` outlive it.
  PoolWatch(boost::asio::io_context& context, observe::Log& log, web::Api& api,
            FailoverSocket socket);
  PoolWatch(const PoolWatch&) = delete;
  PoolWatch& operator=(const PoolWatch&) = delete;

  /// From here on the API knows of it.
  void start();
  void stop();

 private:
  web::FailoverBackend backend();
  void refresh(std::function<void()> done);
  bool change(std::string target, std::string body, web::FailoverBackend::Done done);
  void ask();
  void on_answer(io::LocalCaller::Result result);
  void tell_log(bool was_up);
  void arm();

  observe::Log& log_;
  web::Api& api_;
  const FailoverSocket socket_;
  web::KnownPools known_;
  io::LocalCaller questions_;
  io::LocalCaller changes_;
  io::Alarm alarm_;
  std::vector<std::function<void()>> waiting_;  // for what is asked now
  bool again_ = false;  // something was changed while the answer was on its way
  bool said_ = false;   // that it does not answer
  bool running_ = false;
};

}  // namespace sentinel::app
