#include "io/http_turns.hpp"

#include <algorithm>
#include <utility>

#include "io/runtime.hpp"

namespace sentinel::io {

bool HttpTurns::open() const { return free_at_ <= now() + burst; }

void HttpTurns::take(Work work) {
  if (waiting_.empty() && open()) {
    run(std::move(work));
    return;
  }
  waiting_.push_back(std::move(work));
  wait();
}

void HttpTurns::run(Work work) {
  const core::Time begun = now();
  work();
  const core::Time ended = now();
  free_at_ = std::max(free_at_, ended) + (ended - begun) * others;
}

void HttpTurns::wait() {
  if (armed_ || waiting_.empty()) return;
  armed_ = true;
  timer_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::max(free_at_ - now(), core::Duration{})));
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code&) {
    self->armed_ = false;
    self->go_on();
  });
}

void HttpTurns::go_on() {
  while (!waiting_.empty() && open()) {
    Work next = std::move(waiting_.front());
    waiting_.pop_front();
    run(std::move(next));
  }
  wait();
}

void HttpTurns::stop() {
  timer_.cancel();
  waiting_.clear();
}

}  // namespace sentinel::io
