#include "io/journal_writer.hpp"

#include <algorithm>
#include <chrono>
#include <concepts>
#include <format>
#include <utility>
#include <variant>

#include "io/journal_rows.hpp"
#include "io/runtime.hpp"

namespace sentinel::io {

namespace {

constexpr core::Duration company = std::chrono::milliseconds{500};  // history waits so long
constexpr core::Duration minute = std::chrono::minutes{1};  // between latencies, and rounds of trim
constexpr core::Duration query_wait = std::chrono::seconds{1};  // for what was noted before it

core::WallTime wall_now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::uint64_t unix_ms() {
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(wall_now().time_since_epoch().count(), 1));
}

}  // namespace

JournalWriter::JournalWriter(std::string path, JournalLimits limits, Outlet outlet)
    : path_(std::move(path)), outlet_(std::move(outlet)), limits_(limits) {}

void JournalWriter::open() {
  stats_.durable = true;  // what is reported on the way supposes success
  auto fault = connect();
  if (!fault) fault = read();
  if (!fault) fault = close_intervals();
  const std::lock_guard lock(mutex_);
  // Numbers that were given out and not written must not be given again: none is far ahead of
  // the clock, and no more than a queue's length ahead of what was written.
  next_sequence_ = std::max(restored_.last_sequence + 2 * JournalBounds::history, unix_ms());
  if (!loaded_) restored_.alerts.next_delivery = unix_ms();
  restored_.last_sequence = next_sequence_ - 1;
  if (fault) {
    file_.reset();
    begin_failing(*fault);
  }
}

void JournalWriter::perform(core::AlertActions actions) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  for (auto& action : actions) {
    std::visit(
        [this]<typename Action>(Action& a) {
          if constexpr (requires { queue_.note(std::move(a)); }) store(std::move(a));
        },
        action);
  }
  wake_.notify_one();
}

std::uint64_t JournalWriter::append(HistoryEntry entry) {
  entry = bounded(std::move(entry));
  const std::lock_guard lock(mutex_);
  entry.sequence = next_sequence_++;
  const auto sequence = entry.sequence;
  if (stopping_) return sequence;
  const bool first = queue_.empty();
  queue_.note(std::move(entry));
  ++noted_;
  if (first) wake_.notify_one();
  return sequence;
}

void JournalWriter::sample(std::string_view subject, std::string_view probe, core::WallTime at,
                           bool success, core::Duration latency) {
  const std::lock_guard lock(mutex_);
  if (!stopping_) queue_.note(subject, probe, at, success, latency);
}

void JournalWriter::limit(JournalLimits limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
  trim_at_ = now();
  wake_.notify_one();
}

template <typename Action>
void JournalWriter::store(Action action) {
  // While failing, what is true later is told later; incidents that end meanwhile are not part of
  // that.
  constexpr bool incident = std::same_as<Action, core::StoreIncident>;
  const bool told_later = mode_ == Mode::failing || mode_ == Mode::asking;
  if constexpr (std::same_as<Action, core::StoreDelivery>) {
    const auto id = action.delivery.id;
    const bool noted = !told_later && queue_.note(std::move(action));
    if (noted && mode_ == Mode::durable) {
      waiting_.push_back(id);
    } else {
      outlet_.stored({id}, false);
    }
    if (!noted && !told_later) incomplete_ = true;
  } else if (!told_later || incident) {
    if (!queue_.note(std::move(action))) incomplete_ = true;
  }
  ++noted_;
}

/// Opens the file; a corrupt one is replaced.
std::optional<StoreFault> JournalWriter::connect() {
  outlet_.close_readers();  // a damaged file must not be renamed under a connection
  auto opened = open_or_replace(path_, JournalFile::open, [this](std::string text) {
    const std::lock_guard lock(mutex_);
    report(std::move(text), true);
  });
  if (!opened) return opened.error();
  file_.emplace(*std::move(opened));
  return std::nullopt;
}

std::optional<StoreFault> JournalWriter::read() {
  auto contents = file_->load();
  if (!contents) return contents.error();
  loaded_ = true;
  restored_ = std::move(*contents);
  if (restored_.impossible != 0) {
    const std::lock_guard lock(mutex_);
    report(std::format("{} rows of {} held impossible values and were left out",
                       restored_.impossible, path_),
           true);
  }
  return std::nullopt;
}

std::optional<StoreFault> JournalWriter::close_intervals() {
  if (intervals_closed_) return std::nullopt;
  if (auto closed = file_->close_intervals(); !closed) return closed.error();
  intervals_closed_ = true;
  return std::nullopt;
}

void JournalWriter::run() {
  std::unique_lock lock(mutex_);
  auto retry_at = now() + pace_.next();
  auto minute_at = now() + minute;
  trim_at_ = now() + minute;
  while (true) {
    wait_for_work(lock, retry_at, minute_at);
    if (stopping_ && (!writable() || queue_.empty())) break;
    const bool minute_over = now() >= minute_at;
    if (minute_over) minute_at = now() + minute;
    bool fine = true;
    if (mode_ == Mode::failing) {
      fine = try_again(lock);
    } else if (mode_ == Mode::durable && !stopping_ && now() >= trim_at_ && !queue_.urgent() &&
               !minute_over && !history_is_due()) {
      fine = trim(lock);
    } else if (mode_ != Mode::asking) {
      fine = write(lock, false);
    }
    if (!fine) retry_at = now() + pace_.next();
  }
  if (mode_ == Mode::durable) write(lock, true);
  lock.unlock();
  file_.reset();
  outlet_.ended();
}

bool JournalWriter::history_is_due() const {
  return !queue_.empty() && (stopping_ || hurry_ || now() >= history_at_);
}

void JournalWriter::wait_for_work(Lock& lock, core::Time retry_at, core::Time minute_at) {
  while (!stopping_) {
    auto until = minute_at;
    if (mode_ == Mode::failing) {
      until = retry_at;
    } else if (mode_ == Mode::asking) {
      until = core::never;
    } else {
      if (mode_ == Mode::regained || queue_.urgent() || incomplete_ || history_is_due()) return;
      until = std::min(until, trim_at_);
      if (queue_.empty()) {
        history_at_ = core::never;
      } else {
        if (history_at_ == core::never) history_at_ = now() + company;
        until = std::min(until, history_at_);
      }
    }
    if (until == core::never) {
      wake_.wait(lock);
    } else {
      const auto left = until - now();
      if (left <= core::Duration{}) return;
      wake_.wait_for(lock, left);
    }
  }
}

/// While failing: whether the file works again.
bool JournalWriter::try_again(Lock& lock) {
  lock.unlock();
  auto fault = ready_file();
  if (!fault) {
    if (auto written = file_->write({.prove = true, .now = wall_now()}); !written)
      fault = written.error();
  }
  if (fault) file_.reset();
  lock.lock();
  if (fault) {
    ++stats_.failures;
    return false;
  }
  mode_ = Mode::asking;
  outlet_.ask_everything();
  return true;
}

std::optional<StoreFault> JournalWriter::ready_file() {
  if (!file_) {
    if (auto fault = connect()) return fault;
  }
  return close_intervals();
}

/// One transaction with all that is noted. The lock is given up for the time of it.
bool JournalWriter::write(Lock& lock, bool last) {
  if (incomplete_ && mode_ == Mode::durable && !last) {
    // More changed than there was room to note: as after an outage.
    incomplete_ = false;
    stats_.durable = false;
    mode_ = Mode::asking;
    queue_.drop_alerts();
    give_up_waiting();
    report(std::format("more changed than could be noted for {}; it is written anew", path_));
    outlet_.ask_everything();
    return true;
  }
  auto batch = queue_.take(wall_now(), last);
  const bool regained = mode_ == Mode::regained;
  // What a file held that we never read is not ours to erase: the next start reads it.
  batch.replace = regained && loaded_;
  batch.prove = regained;
  const auto waiting = std::exchange(waiting_, {});
  const auto noted = noted_;
  history_at_ = core::never;
  lock.unlock();
  const auto begun = now();
  std::optional<StoreFault> fault;
  if (auto written = file_->write(batch); !written) fault = written.error();
  const auto took = now() - begun;
  const auto bytes = file_->bytes();
  const auto rows = batch.size();
  if (fault) file_.reset();
  lock.lock();
  if (fault) {
    queue_.put_back(std::move(batch));
    begin_failing(*fault);
  } else {
    ++stats_.commits;
    stats_.last_commit = took;
    stats_.written += rows;
    stats_.bytes = bytes;
    pace_.reset();
    if (regained) {
      mode_ = Mode::durable;
      stats_.durable = true;
      incomplete_ = false;
      report(std::format("what happens is kept in {} again", path_));
    }
  }
  noted_written_ = noted;
  hurry_ = false;
  written_.notify_all();
  if (!waiting.empty()) outlet_.stored(waiting, !fault);
  return !fault;
}

bool JournalWriter::trim(Lock& lock) {
  const auto limits = limits_;
  lock.unlock();
  const auto trimmed = file_->trim(limits, wall_now());
  const auto bytes = file_->bytes();
  const auto share = file_->age_share();
  if (!trimmed) file_.reset();
  lock.lock();
  if (!trimmed) {
    begin_failing(trimmed.error());
    return false;
  }
  stats_.removed += trimmed->rows;
  stats_.bytes = bytes;
  stats_.age_share = share;
  if (trimmed->done) trim_at_ = now() + minute;
  return true;
}

/// Hurries the writer until so many noted things are written.
void JournalWriter::settle(std::uint64_t noted) {
  std::unique_lock lock(mutex_);
  if (noted_written_ >= noted) return;
  hurry_ = true;
  wake_.notify_one();
  written_.wait_for(lock, query_wait,
                    [&] { return stopping_ || mode_ != Mode::durable || noted_written_ >= noted; });
}

void JournalWriter::begin_failing(const StoreFault& fault) {
  ++stats_.failures;
  const bool was_durable = stats_.durable;
  stats_.durable = false;
  mode_ = Mode::failing;
  incomplete_ = false;
  queue_.drop_alerts();
  give_up_waiting();
  written_.notify_all();
  if (!was_durable) return;
  report(
      std::format("nothing can be kept in {} ({}); alerts are sent nevertheless, but a "
                  "restart of Sentinel forgets what was not sent, and history has a gap",
                  path_, fault.text));
}

void JournalWriter::give_up_waiting() {
  if (!waiting_.empty()) outlet_.stored(std::exchange(waiting_, {}), false);
}

void JournalWriter::report(std::string text, bool lost) {
  outlet_.report({stats_.durable, std::move(text), lost});
}

void JournalWriter::tell(core::AlertsRestored everything) {
  const std::lock_guard lock(mutex_);
  if (mode_ != Mode::asking) return;
  queue_.start_anew(std::move(everything));
  mode_ = Mode::regained;
  wake_.notify_one();
}

void JournalWriter::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  wake_.notify_all();
  written_.notify_all();
}

std::uint64_t JournalWriter::noted() const {
  const std::lock_guard lock(mutex_);
  return noted_;
}

std::uint64_t JournalWriter::last_sequence() const {
  const std::lock_guard lock(mutex_);
  return next_sequence_ - 1;
}

JournalStats JournalWriter::stats() const {
  const std::lock_guard lock(mutex_);
  auto result = stats_;
  result.queued = queue_.size();
  result.lost = queue_.lost();
  return result;
}

}  // namespace sentinel::io
