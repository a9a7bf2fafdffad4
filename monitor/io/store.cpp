#include "io/store.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <condition_variable>
#include <format>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "io/runtime.hpp"
#include "io/store_file.hpp"

namespace sentinel::io {

namespace asio = boost::asio;

namespace {

constexpr core::Duration stop_wait = std::chrono::seconds{1};

/// A record that says nothing needs no row.
bool empty(const core::ServiceRecord& record) {
  return record.budget_left.empty() && !record.quarantined &&
         record.maintenance_left == core::Duration{};
}

}  // namespace

/// Shared by the loop's thread, the store's thread and handlers still queued; whatever is below
/// `mutex_` is guarded by it.
class Store::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, std::string path, Sink sink, ReportSink report)
      : path_(std::move(path)),
        sink_(std::move(sink)),
        report_sink_(std::move(report)),
        context_(context) {}

  /// Before the thread exists.
  void open() {
    stats_.durable =
        true;  // what is reported on the way supposes success; a fault is reported after it
    auto fault = connect();
    if (!fault) fault = read();
    const std::lock_guard lock(mutex_);
    if (fault) {
      file_.reset();
      begin_failing(*fault);
      return;
    }
    for (const auto& record : restored_.services) services_[record.key] = {record, ++touched_};
    for (const auto& record : restored_.intents) intents_[record.op] = record;
  }

  std::expected<void, Error> start() {
    auto thread = start_thread([self = shared_from_this()] { self->run(); });
    if (!thread) return std::unexpected(thread.error());
    thread_ = std::move(*thread);
    return {};
  }

  core::Restored restored() const { return restored_; }

  void store(const core::StoreIntent& action) {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    const auto& intent = action.intent;
    const bool fits =
        storable(intent) && (intents_.contains(intent.op) || intents_.size() < max_intents);
    if (fits) {
      intents_[intent.op] = intent;
      mark(dirty_intents_, intent.op, max_intents);
    }
    const bool service_fits = note(action.service);
    if (fits && service_fits && stats_.durable) {
      waiting_.push_back(intent.op);
      wake_.notify_one();
    } else {
      answer({intent.op}, false);
    }
  }

  void forget(const core::ForgetIntent& action) {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    intents_.erase(action.op);
    mark(dirty_intents_, action.op, max_intents);
    note(action.service);
    wake_.notify_one();
  }

  void keep(const core::StoreService& action) {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    note(action.service);
    wake_.notify_one();
  }

  void stop() {
    {
      std::unique_lock lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
      wake_.notify_all();
      // A hung disk must not hang the process: its thread is left behind, with what it needs.
      ended_.wait_for(lock, stop_wait, [this] { return done_; });
      closed_ = true;
      if (!done_) {
        thread_.detach();
        return;
      }
    }
    thread_.join();
  }

  StoreStats stats() const {
    const std::lock_guard lock(mutex_);
    auto result = stats_;
    result.queued = dirty_services_.size() + dirty_intents_.size();
    result.rows = services_.size() + intents_.size();
    return result;
  }

 private:
  struct Row {
    core::ServiceRecord record;
    std::uint64_t touched = 0;
  };

  /// Opens the file; a corrupt one is replaced. Without the lock; by whichever thread owns the file
  /// just then.
  std::optional<StoreFault> connect() {
    auto opened = open_or_replace(path_, StoreFile::open, [this](std::string text) {
      const std::lock_guard lock(mutex_);
      report(std::move(text), true);
    });
    if (!opened) return opened.error();
    file_.emplace(*std::move(opened));
    return std::nullopt;
  }

  std::optional<StoreFault> read() {
    auto contents = file_->load(max_services, max_intents);
    if (!contents) return contents.error();
    loaded_ = true;
    restored_ = std::move(contents->rows);
    if (contents->impossible != 0) {
      const std::lock_guard lock(mutex_);
      report(std::format("{} rows of {} held impossible values and were left out",
                         contents->impossible, path_),
             true);
    }
    return std::nullopt;
  }

  void run() {
    RetryPace pace;
    std::unique_lock lock(mutex_);
    auto retry_at = now() + pace.next();
    while (true) {
      if (stats_.durable) {
        wake_.wait(lock, [this] { return stopping_ || has_work(); });
      } else {
        // Everything notes itself in the copy meanwhile; there is nothing to be woken for but the
        // end.
        wake_.wait_for(lock, std::max(retry_at - now(), core::Duration{}),
                       [this] { return stopping_; });
      }
      if (stopping_ && (!stats_.durable || !has_work())) break;
      if (write(lock)) {
        pace.reset();
      } else {
        retry_at = now() + pace.next();
      }
    }
    lock.unlock();
    file_.reset();
    lock.lock();
    done_ = true;
    ended_.notify_all();
  }

  bool has_work() const {
    return !dirty_services_.empty() || !dirty_intents_.empty() || !waiting_.empty();
  }

  /// One transaction with all that is noted. The lock is given up for the time of it.
  bool write(std::unique_lock<std::mutex>& lock) {
    const bool was_durable = stats_.durable;
    auto batch = take();
    const auto waiting = std::exchange(waiting_, {});
    lock.unlock();
    std::optional<StoreFault> fault;
    const auto begun = now();
    if (!file_) fault = connect();
    if (!fault) {
      if (auto written = file_->write(batch); !written) fault = written.error();
    }
    const auto took = now() - begun;
    if (fault) file_.reset();
    lock.lock();
    if (!fault) {
      ++stats_.commits;
      stats_.last_commit = took;
      stats_.durable = true;
      if (!was_durable) report(std::format("what must survive is stored in {} again", path_));
    } else {
      if (was_durable) {
        begin_failing(*fault);
      } else {
        ++stats_.failures;
        everything_ = true;
      }
      for (const auto& key : batch.forgotten_services) mark(dirty_services_, key, max_services);
      for (const auto op : batch.forgotten_intents) mark(dirty_intents_, op, max_intents);
    }
    answer(waiting, !fault);
    return !fault;
  }

  StoreBatch take() {
    // What a file held that we never read is not ours to erase: the next start reads it.
    StoreBatch batch{.replace = everything_ && loaded_, .prove = everything_};
    for (const auto& key : dirty_services_) {
      const auto found = services_.find(key);
      if (found == services_.end()) {
        batch.forgotten_services.push_back(key);
      } else if (!everything_) {
        batch.services.push_back(found->second.record);
      }
    }
    for (const auto op : dirty_intents_) {
      const auto found = intents_.find(op);
      if (found == intents_.end()) {
        batch.forgotten_intents.push_back(op);
      } else if (!everything_) {
        batch.intents.push_back(found->second);
      }
    }
    if (everything_) {
      std::vector<const Row*> order;
      order.reserve(services_.size());
      for (const auto& [key, row] : services_) order.push_back(&row);
      std::ranges::sort(order, {}, &Row::touched);
      for (const auto* row : order) batch.services.push_back(row->record);
      for (const auto& [op, record] : intents_) batch.intents.push_back(record);
    }
    dirty_services_.clear();
    dirty_intents_.clear();
    everything_ = false;  // of what changes from here on, this batch knows nothing
    return batch;
  }

  /// While failing, everything is going to be written; only of a file that was never read must we
  /// know what to erase.
  template <typename Key>
  void mark(std::set<Key>& dirty, const Key& key, std::size_t limit) {
    if (!everything_ || (!loaded_ && dirty.size() < 2 * limit)) dirty.insert(key);
  }

  /// False when the record cannot be kept.
  bool note(const core::ServiceRecord& record) {
    if (!storable(record)) return false;
    if (empty(record)) {
      if (services_.erase(record.key) != 0 || !loaded_)
        mark(dirty_services_, record.key, max_services);
      return true;
    }
    services_[record.key] = {record, ++touched_};
    mark(dirty_services_, record.key, max_services);
    if (services_.size() > max_services) {
      const auto oldest = std::ranges::min_element(
          services_, {}, [](const auto& entry) { return entry.second.touched; });
      mark(dirty_services_, oldest->first, max_services);
      services_.erase(oldest);
    }
    return true;
  }

  void begin_failing(const StoreFault& fault) {
    ++stats_.failures;
    stats_.durable = false;
    everything_ = true;
    report(
        std::format("nothing can be stored in {} ({}); healing goes on, but a restart of Sentinel "
                    "forgets budgets "
                    "and what it was about to do",
                    path_, fault.text));
  }

  void report(std::string text, bool lost = false) {
    if (closed_) return;
    asio::post(context_, [self = shared_from_this(),
                          message = StoreReport{stats_.durable, std::move(text), lost}]() mutable {
      if (self->open_for_sinks()) self->report_sink_(std::move(message));
    });
  }

  void answer(std::vector<core::OperationId> ops, bool durable) {
    if (closed_ || ops.empty()) return;
    asio::post(context_, [self = shared_from_this(), ops = std::move(ops), durable] {
      for (const auto op : ops) {
        if (self->open_for_sinks()) self->sink_({.op = op, .durable = durable});
      }
    });
  }

  bool open_for_sinks() const {
    const std::lock_guard lock(mutex_);
    return !closed_;
  }

  const std::string path_;
  const Sink sink_;
  const ReportSink report_sink_;
  std::optional<StoreFile> file_;  // open()'s, then the store's thread's
  bool loaded_ = false;            // these two change in open() only
  core::Restored restored_;
  std::thread thread_;

  mutable std::mutex mutex_;
  asio::io_context& context_;  // not used once closed_
  std::condition_variable wake_;
  std::condition_variable ended_;
  std::map<core::ServiceKey, Row> services_;
  std::map<core::OperationId, core::IntentRecord> intents_;
  std::set<core::ServiceKey> dirty_services_;
  std::set<core::OperationId> dirty_intents_;
  std::vector<core::OperationId> waiting_;  // for their answer
  std::uint64_t touched_ = 0;
  bool everything_ = false;  // the next write holds all rows
  bool stopping_ = false;
  bool closed_ = false;  // no more sinks
  bool done_ = false;
  StoreStats stats_;
};

Store::Store(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store() { stop(); }

std::expected<std::unique_ptr<Store>, Error> Store::open(asio::io_context& context,
                                                         std::string path, Sink sink,
                                                         ReportSink report) {
  auto impl = std::make_shared<Impl>(context, std::move(path), std::move(sink), std::move(report));
  impl->open();
  if (auto started = impl->start(); !started) return std::unexpected(started.error());
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

core::Restored Store::load() const { return impl_->restored(); }

void Store::perform(const core::StoreIntent& action) { impl_->store(action); }

void Store::perform(const core::ForgetIntent& action) { impl_->forget(action); }

void Store::perform(const core::StoreService& action) { impl_->keep(action); }

void Store::stop() { impl_->stop(); }

StoreStats Store::stats() const { return impl_->stats(); }

}  // namespace sentinel::io
