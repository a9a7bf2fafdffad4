#include "io/sender.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "io/runtime.hpp"
#include "io/sender_attempt.hpp"

namespace sentinel::io {

namespace asio = boost::asio;

using core::SendResult;
using core::Sent;

namespace {

constexpr core::Duration stop_wait = std::chrono::seconds{1};

struct MultiFree {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

bool init_curl() {
  static const bool good = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return good;
}

struct Job {
  core::Delivery delivery;
  std::shared_ptr<const ReceiverSpec> receiver;
  core::Time expires{};  // without having begun
};

Sent answer_to(std::uint64_t id, SendResult result, std::string detail) {
  Sent sent;
  sent.id = id;
  sent.result = result;
  sent.detail = std::move(detail);
  return sent;
}

Sent not_now(std::uint64_t id, std::string detail) {
  return answer_to(id, SendResult::retry, std::move(detail));
}

/// A thread and its transfers. Two of them: libcurl's SMTP may wait for the answer to a QUIT, which
/// must not hold up what goes by HTTP.
class Transfers : public std::enable_shared_from_this<Transfers> {
 public:
  using Answer = std::function<void(Sent)>;  // from any thread

  explicit Transfers(Answer answer) : multi_(curl_multi_init()), answer_(std::move(answer)) {}

  std::expected<void, Error> start() {
    if (!multi_) return std::unexpected(Error{"libcurl cannot be started"});
    auto thread = start_thread([self = shared_from_this()] { self->run(); });
    if (!thread) return std::unexpected(thread.error());
    thread_ = std::move(*thread);
    return {};
  }

  void add(Job job) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      if (stats_.waiting < Sender::max_waiting) {
        ++stats_.waiting;
        fresh_.push_back(std::move(job));
        curl_multi_wakeup(multi_.get());
        return;
      }
    }
    answer_(not_now(job.delivery.id, "too many messages are waiting to be sent"));
  }

  void stop() {
    {
      std::unique_lock lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
      curl_multi_wakeup(multi_.get());
      ended_.wait_for(lock, stop_wait, [this] { return done_; });
      if (!done_) {
        // Left behind with what it needs, for a peer must not hang the process.
        thread_.detach();
        return;
      }
    }
    thread_.join();
  }

  SenderStats stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  struct Running {
    std::uint64_t id = 0;
    core::Time began{};
    std::unique_ptr<SendAttempt> attempt;
  };
  struct Turn {
    unsigned running = 0;
    core::Time next{};  // not before
  };

  void run() {
    while (take_fresh()) {
      const auto wake = begin_due();
      int active = 0;
      curl_multi_perform(multi_.get(), &active);
      finish();
      note_stats();
      const auto wait = std::chrono::ceil<std::chrono::milliseconds>(wake - now()).count();
      curl_multi_poll(multi_.get(), nullptr, 0,
                      static_cast<int>(std::clamp<std::int64_t>(wait, 0, 1000)), nullptr);
    }
    for (auto& [handle, transfer] : running_) curl_multi_remove_handle(multi_.get(), handle);
    running_.clear();
    const std::lock_guard lock(mutex_);
    done_ = true;
    ended_.notify_all();
  }

  bool take_fresh() {
    const std::lock_guard lock(mutex_);
    std::ranges::move(fresh_, std::back_inserter(waiting_));
    fresh_.clear();
    return !stopping_;
  }

  void note_stats() {
    const std::lock_guard lock(mutex_);
    stats_ = {.waiting = waiting_.size() + fresh_.size(), .running = running_.size()};
  }

  /// Begins whose turn it is; when to look again.
  core::Time begin_due() {
    auto wake = now() + std::chrono::seconds{1};
    std::erase_if(turns_, [](const auto& entry) {
      return entry.second.running == 0 && entry.second.next <= now();
    });
    for (auto job = waiting_.begin(); job != waiting_.end();) {
      auto& turn = turns_[job->receiver->name];
      const auto time = now();
      if (turn.running < Sender::max_running_per_receiver && turn.next <= time) {
        turn.next = time + job->receiver->interval;
        begin(*job, turn);
      } else if (time >= job->expires) {
        answer_(not_now(job->delivery.id, "other messages to this receiver take too long"));
      } else {
        wake = std::min(wake, job->expires);
        if (turn.running < Sender::max_running_per_receiver) wake = std::min(wake, turn.next);
        ++job;
        continue;
      }
      job = waiting_.erase(job);
    }
    return wake;
  }

  void begin(const Job& job, Turn& turn) {
    auto attempt = SendAttempt::prepare(job.delivery, job.receiver);
    if (!attempt) {
      answer_(answer_to(job.delivery.id, SendResult::permanent, std::move(attempt.error())));
      return;
    }
    CURL* handle = (*attempt)->handle();
    if (curl_multi_add_handle(multi_.get(), handle) != CURLM_OK) {
      answer_(not_now(job.delivery.id, "libcurl takes no more transfers"));
      return;
    }
    ++turn.running;
    running_[handle] = {job.delivery.id, now(), std::move(*attempt)};
  }

  void finish() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const auto found = running_.find(message->easy_handle);
      if (found == running_.end()) continue;
      auto& transfer = found->second;
      Sent sent = transfer.attempt->judge(message->data.result);
      sent.id = transfer.id;
      sent.took = now() - transfer.began;
      curl_multi_remove_handle(multi_.get(), found->first);
      --turns_[transfer.attempt->receiver().name].running;
      running_.erase(found);
      answer_(std::move(sent));
    }
  }

  // Of the thread, but for start() and the multi's wake-up, which any thread may call.
  const std::unique_ptr<CURLM, MultiFree> multi_;
  std::list<Job> waiting_;
  std::map<CURL*, Running> running_;
  std::map<std::string, Turn> turns_;
  const Answer answer_;
  std::thread thread_;

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::deque<Job> fresh_;
  SenderStats stats_;
  bool stopping_ = false;
  bool done_ = false;
};

}  // namespace

class Sender::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, Sink sink) : context_(context), sink_(std::move(sink)) {}

  std::expected<void, Error> start() {
    if (!init_curl()) return std::unexpected(Error{"libcurl cannot be started"});
    for (auto& transfers : transfers_) {
      // The thread may outlive us by what a peer makes it wait.
      transfers = std::make_shared<Transfers>([weak = weak_from_this()](Sent sent) {
        if (const auto self = weak.lock()) self->answer(std::move(sent));
      });
      if (auto started = transfers->start(); !started) return started;
    }
    return {};
  }

  void configure(std::vector<ReceiverSpec> receivers) {
    receivers_.clear();
    for (auto& receiver : receivers) {
      auto name = receiver.name;
      receivers_[std::move(name)] = std::make_shared<const ReceiverSpec>(std::move(receiver));
    }
  }

  void perform(const core::Send& action) {
    const auto& delivery = action.delivery;
    const auto found = receivers_.find(delivery.receiver);
    if (found == receivers_.end()) {
      answer(answer_to(delivery.id, SendResult::permanent,
                       "the configuration has no such receiver any more"));
      return;
    }
    const bool mail = found->second->kind == ReceiverKind::email;
    transfers_[mail ? 1 : 0]->add({delivery, found->second, now() + longest_wait});
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    for (const auto& transfers : transfers_)
      if (transfers) transfers->stop();
  }

  SenderStats stats() const {
    SenderStats sum;
    for (const auto& transfers : transfers_) {
      const auto one = transfers->stats();
      sum.waiting += one.waiting;
      sum.running += one.running;
    }
    return sum;
  }

 private:
  void answer(Sent sent) {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    asio::post(context_, [self = shared_from_this(), sent = std::move(sent)]() mutable {
      if (self->open()) self->sink_(std::move(sent));
    });
  }

  bool open() const {
    const std::lock_guard lock(mutex_);
    return !closed_;
  }

  asio::io_context& context_;  // not used once closed_
  const Sink sink_;
  std::map<std::string, std::shared_ptr<const ReceiverSpec>> receivers_;
  std::array<std::shared_ptr<Transfers>, 2> transfers_;  // HTTP, SMTP
  mutable std::mutex mutex_;
  bool closed_ = false;
};

Sender::Sender(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Sender::~Sender() { stop(); }

std::expected<std::unique_ptr<Sender>, Error> Sender::start(asio::io_context& context, Sink sink) {
  std::unique_ptr<Sender> sender(new Sender(std::make_shared<Impl>(context, std::move(sink))));
  if (auto started = sender->impl_->start(); !started) return std::unexpected(started.error());
  return sender;
}

void Sender::configure(std::vector<ReceiverSpec> receivers) {
  impl_->configure(std::move(receivers));
}

void Sender::perform(const core::Send& action) { impl_->perform(action); }

void Sender::stop() { impl_->stop(); }

SenderStats Sender::stats() const { return impl_->stats(); }

}  // namespace sentinel::io
