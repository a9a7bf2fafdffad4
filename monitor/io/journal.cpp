#include "io/journal.hpp"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "io/journal_queries.hpp"
#include "io/journal_writer.hpp"
#include "io/runtime.hpp"

namespace sentinel::io {

namespace asio = boost::asio;

namespace {

constexpr core::Duration stop_wait = std::chrono::seconds{1};

}  // namespace

/// Shared by the loop's thread, the two threads and handlers still queued.
class Journal::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, const std::string& path, JournalLimits limits, JournalSinks sinks)
      : sinks_(std::move(sinks)),
        context_(context),
        writer(path, limits,
               {.report = [this](StoreReport report) { pass_on(std::move(report)); },
                .stored = [this](std::vector<std::uint64_t> ids,
                                 bool durable) { pass_on(std::move(ids), durable); },
                .ask_everything = [this] { ask_everything(); },
                .close_readers = [this] { queries_.close_file(); },
                .ended = [this] { ended(writer_done_); }}),
        queries_(path, [this](std::uint64_t noted) { writer.settle(noted); }) {}

  std::expected<void, Error> start() {
    writer.open();
    auto writing = start_thread([self = shared_from_this()] { self->writer.run(); });
    if (!writing) return std::unexpected(writing.error());
    writer_thread_ = std::move(*writing);
    auto reading = start_thread([self = shared_from_this()] {
      self->queries_.run();
      self->ended(self->reader_done_);
    });
    if (!reading) {
      stop();
      return std::unexpected(reading.error());
    }
    reader_thread_ = std::move(*reading);
    return {};
  }

  /// `ask` runs on the reader's thread.
  template <typename T, typename Ask>
  void query(Answer<T> answer, Ask ask) {
    auto shared = std::make_shared<Answer<T>>(std::move(answer));
    const bool taken =
        queries_.add(writer.noted(), [this, shared, ask = std::move(ask)](JournalReader& reader) {
          reply<T>(shared, ask(reader));
        });
    if (!taken)
      reply<T>(shared, std::unexpected(Error{"too many questions to the journal at once"}));
  }

  void stop() {
    if (stopping_.exchange(true)) return;
    writer.stop();
    queries_.stop();
    {
      std::unique_lock lock(mutex_);
      // A hung disk must not hang the process: its threads are left behind, with what they need.
      const auto over = [](const std::thread& thread, bool done) {
        return done || !thread.joinable();
      };
      ended_.wait_for(lock, stop_wait, [&] {
        return over(writer_thread_, writer_done_) && over(reader_thread_, reader_done_);
      });
      closed_ = true;
      if (!over(writer_thread_, writer_done_)) writer_thread_.detach();
      if (!over(reader_thread_, reader_done_)) reader_thread_.detach();
    }
    if (writer_thread_.joinable()) writer_thread_.join();
    if (reader_thread_.joinable()) reader_thread_.join();
  }

  JournalStats stats() const {
    auto result = writer.stats();
    result.queries = answered_;
    result.refused = refused_;
    return result;
  }

 private:
  /// Handlers that are posted run on the loop's thread, and not after stop().
  template <typename Handler>
  void post(Handler handler) {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    asio::post(context_, [self = shared_from_this(), handler = std::move(handler)]() mutable {
      handler(*self);
    });
  }

  void pass_on(StoreReport report) {
    post([report = std::move(report)](Impl& self) mutable {
      if (self.open()) self.sinks_.report(std::move(report));
    });
  }

  void pass_on(std::vector<std::uint64_t> ids, bool durable) {
    post([ids = std::move(ids), durable](Impl& self) {
      for (const auto id : ids) {
        if (self.open()) self.sinks_.stored({.id = id, .durable = durable});
      }
    });
  }

  void ask_everything() {
    post([](Impl& self) {
      if (self.open()) self.writer.tell(self.sinks_.everything());
    });
  }

  template <typename T>
  void reply(std::shared_ptr<Answer<T>> answer, std::expected<T, Error> result) {
    ++(result ? answered_ : refused_);
    post([answer = std::move(answer), result = std::move(result)](Impl& self) mutable {
      if (self.open()) (*answer)(std::move(result));
    });
  }

  void ended(bool& done) {
    const std::lock_guard lock(mutex_);
    done = true;
    ended_.notify_all();
  }

  bool open() const {
    const std::lock_guard lock(mutex_);
    return !closed_;
  }

  const JournalSinks sinks_;
  std::thread writer_thread_;
  std::thread reader_thread_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> answered_ = 0;
  std::atomic<std::uint64_t> refused_ = 0;
  mutable std::mutex mutex_;   // the innermost of all: guards the rest
  asio::io_context& context_;  // not used once closed_
  std::condition_variable ended_;
  bool closed_ = false;  // no more sinks
  bool writer_done_ = false;
  bool reader_done_ = false;

 public:
  JournalWriter writer;

 private:
  JournalQueries queries_;
};

Journal::Journal(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Journal::~Journal() { stop(); }

std::expected<std::unique_ptr<Journal>, Error> Journal::open(asio::io_context& context,
                                                             std::string path, JournalLimits limits,
                                                             JournalSinks sinks) {
  auto impl = std::make_shared<Impl>(context, path, limits, std::move(sinks));
  if (auto started = impl->start(); !started) return std::unexpected(started.error());
  return std::unique_ptr<Journal>(new Journal(std::move(impl)));
}

core::AlertsRestored Journal::load() const { return impl_->writer.restored(); }
std::uint64_t Journal::last_sequence() const { return impl_->writer.last_sequence(); }

void Journal::perform(core::AlertActions actions) { impl_->writer.perform(std::move(actions)); }

std::uint64_t Journal::append(HistoryEntry entry) { return impl_->writer.append(std::move(entry)); }

void Journal::sample(std::string_view subject, std::string_view probe, core::WallTime at,
                     bool success, core::Duration latency) {
  impl_->writer.sample(subject, probe, at, success, latency);
}

void Journal::limit(JournalLimits limits) { impl_->writer.limit(limits); }

void Journal::history(HistoryQuery query, Answer<std::vector<HistoryEntry>> answer) {
  impl_->query<std::vector<HistoryEntry>>(
      std::move(answer), [query = std::move(query)](JournalReader& r) { return r.history(query); });
}

void Journal::incidents(IncidentQuery query, Answer<IncidentPage> answer) {
  impl_->query<IncidentPage>(std::move(answer), [query = std::move(query)](JournalReader& r) {
    return r.incidents(query);
  });
}

void Journal::timeline(TimelineQuery query, Answer<std::vector<StateInterval>> answer) {
  impl_->query<std::vector<StateInterval>>(
      std::move(answer),
      [query = std::move(query)](JournalReader& r) { return r.timeline(query); });
}

void Journal::latency(LatencyQuery query, Answer<std::vector<LatencyPoint>> answer) {
  impl_->query<std::vector<LatencyPoint>>(
      std::move(answer), [query = std::move(query)](JournalReader& r) { return r.latency(query); });
}

void Journal::availability(std::string subject, core::WallTime now,
                           Answer<std::vector<Availability>> answer) {
  impl_->query<std::vector<Availability>>(std::move(answer),
                                          [subject = std::move(subject), now](JournalReader& r) {
                                            return r.availability(subject, now);
                                          });
}

void Journal::stop() { impl_->stop(); }

JournalStats Journal::stats() const { return impl_->stats(); }

}  // namespace sentinel::io
