#include "io/store_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <string_view>

#include "io/database.hpp"

namespace sentinel::io {

namespace {

constexpr int application_id = 0x53'4E'54'4C;  // "SNTL"
constexpr std::size_t max_name = 1024;
constexpr std::size_t max_spent = 1000;  // entries of budget_left; a budget has 100 at most
constexpr unsigned max_replica = 1'000'000;
constexpr core::Duration longest = std::chrono::years{10};

// One entry per version; never changed once released.
constexpr std::array<const char*, 2> migrations{
    R"sql(
CREATE TABLE service (
  project TEXT NOT NULL,
  service TEXT NOT NULL,
  replica INTEGER NOT NULL,
  budget_left TEXT NOT NULL,        -- nanoseconds of healthy time each spent restart still needs, comma separated
  quarantined INTEGER NOT NULL,
  trial_in INTEGER NOT NULL,        -- nanoseconds
  maintenance_left INTEGER NOT NULL,
  changed INTEGER NOT NULL,         -- grows with each change
  PRIMARY KEY (project, service, replica)
) STRICT, WITHOUT ROWID;
CREATE TABLE intent (
  op INTEGER PRIMARY KEY,
  project TEXT NOT NULL,
  service TEXT NOT NULL,
  replica INTEGER NOT NULL,
  container TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  rung TEXT NOT NULL,
  trial INTEGER NOT NULL
) STRICT;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('full_writes', 0);
)sql",
    "ALTER TABLE intent ADD COLUMN asked INTEGER NOT NULL DEFAULT 0",
};

constexpr std::array rungs{core::Rung::restart, core::Rung::kill, core::Rung::stop};

std::optional<core::Rung> rung_of(std::string_view text) {
  const auto* found =
      std::ranges::find_if(rungs, [text](core::Rung rung) { return to_string(rung) == text; });
  return found == rungs.end() ? std::nullopt : std::optional{*found};
}

bool plausible(const core::ServiceKey& key) {
  const auto sound = [](const std::string& text) {
    return text.size() <= max_name &&
           std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  };
  return !key.service.empty() && sound(key.service) && sound(key.project) &&
         key.replica <= max_replica;
}

bool plausible(core::Duration duration) {
  return duration >= core::Duration{} && duration <= longest;
}

std::string join(const std::vector<core::Duration>& durations) {
  std::string text;
  for (const auto duration : durations) {
    if (!text.empty()) text.push_back(',');
    text += std::to_string(duration.count());
  }
  return text;
}

std::optional<std::vector<core::Duration>> split(std::string_view text) {
  std::vector<core::Duration> result;
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(','));
    std::int64_t count = 0;
    const char* const end = part.data() + part.size();
    const auto [stop, error] = std::from_chars(part.data(), end, count);
    if (error != std::errc{} || stop != end || result.size() == max_spent) return std::nullopt;
    result.emplace_back(count);
    text.remove_prefix(std::min(part.size() + 1, text.size()));
  }
  return result;
}

}  // namespace

bool storable(const core::ServiceRecord& record) {
  return plausible(record.key) && record.budget_left.size() <= max_spent &&
         std::ranges::all_of(record.budget_left,
                             [](core::Duration left) { return plausible(left); }) &&
         plausible(record.trial_in) && plausible(record.maintenance_left);
}

bool storable(const core::IntentRecord& record) {
  return plausible(record.key) && record.op <= INT64_MAX && record.started_at >= 0;
}

struct StoreFile::Impl {
  Database database;
  std::int64_t changed = 0;
  Statement put_service;
  Statement forget_service;
  Statement put_intent;
  Statement forget_intent;

  StoreFault fault(std::string_view doing) const { return fault_of(database.get(), doing); }

  bool prepare() {
    put_service =
        Statement(database.get(), "INSERT OR REPLACE INTO service VALUES (?,?,?,?,?,?,?,?)");
    forget_service = Statement(database.get(),
                               "DELETE FROM service WHERE project=? AND service=? AND replica=?");
    put_intent =
        Statement(database.get(), "INSERT OR REPLACE INTO intent VALUES (?,?,?,?,?,?,?,?,?)");
    forget_intent = Statement(database.get(), "DELETE FROM intent WHERE op=?");
    return put_service && forget_service && put_intent && forget_intent;
  }

  bool put(const core::ServiceRecord& record) {
    const auto budget = join(record.budget_left);
    return put_service.bind(1, record.key.project)
        .bind(2, record.key.service)
        .bind(3, std::int64_t{record.key.replica})
        .bind(4, budget)
        .bind(5, std::int64_t{record.quarantined})
        .bind(6, record.trial_in.count())
        .bind(7, record.maintenance_left.count())
        .bind(8, ++changed)
        .run();
  }

  bool put(const core::IntentRecord& record) {
    const auto container = record.container.hex();
    return put_intent.bind(1, static_cast<std::int64_t>(record.op))
        .bind(2, record.key.project)
        .bind(3, record.key.service)
        .bind(4, std::int64_t{record.key.replica})
        .bind(5, container)
        .bind(6, record.started_at)
        .bind(7, to_string(record.rung))
        .bind(8, std::int64_t{record.trial})
        .bind(9, std::int64_t{record.asked})
        .run();
  }

  bool apply(const StoreBatch& batch) {
    if (batch.prove &&
        !execute(database.get(),
                 "UPDATE counter SET value = value + 1 WHERE name = 'full_writes'")) {
      return false;
    }
    if (batch.replace && !execute(database.get(), "DELETE FROM service; DELETE FROM intent;"))
      return false;
    if (!std::ranges::all_of(batch.services, [this](const auto& record) { return put(record); }))
      return false;
    if (!std::ranges::all_of(batch.forgotten_services, [this](const auto& key) {
          return forget_service.bind(1, key.project)
              .bind(2, key.service)
              .bind(3, std::int64_t{key.replica})
              .run();
        })) {
      return false;
    }
    if (!std::ranges::all_of(batch.intents, [this](const auto& record) { return put(record); }))
      return false;
    return std::ranges::all_of(batch.forgotten_intents, [this](core::OperationId op) {
      return forget_intent.bind(1, static_cast<std::int64_t>(op)).run();
    });
  }
};

StoreFile::StoreFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StoreFile::~StoreFile() = default;
StoreFile::StoreFile(StoreFile&&) noexcept = default;
StoreFile& StoreFile::operator=(StoreFile&&) noexcept = default;

std::expected<StoreFile, StoreFault> StoreFile::open(const std::string& path) {
  auto opened = open_database(path, {.application_id = application_id, .migrations = migrations});
  if (!opened) return std::unexpected(opened.error());
  auto impl = std::make_unique<Impl>();
  impl->database = std::move(*opened);
  if (!impl->prepare()) {
    // The schema says it is ours and is not: damaged or tampered with.
    return std::unexpected(StoreFault{StoreFault::Kind::corrupt, impl->fault("preparing").text});
  }
  return StoreFile(std::move(impl));
}

std::expected<StoreContents, StoreFault> StoreFile::load(std::size_t max_services,
                                                         std::size_t max_intents) {
  StoreContents contents;
  auto* const database = impl_->database.get();
  // The newest rows when there are too many, then in order of change.
  Statement services(
      database,
      "SELECT * FROM (SELECT project, service, replica, budget_left, quarantined, trial_in, "
      "maintenance_left, changed FROM service ORDER BY changed DESC LIMIT ?) ORDER BY changed");
  if (!services) return std::unexpected(impl_->fault("reading services"));
  services.bind(1, static_cast<std::int64_t>(max_services));
  const auto narrow = [](std::int64_t replica) {
    return replica < 0 || replica > max_replica ? max_replica + 1 : static_cast<unsigned>(replica);
  };
  int result = SQLITE_DONE;
  while ((result = services.step()) == SQLITE_ROW) {
    impl_->changed = std::max(impl_->changed, services.integer(7));
    auto budget = split(services.text(3));
    core::ServiceRecord record{.key = {.project = services.text(0),
                                       .service = services.text(1),
                                       .replica = narrow(services.integer(2))},
                               .budget_left = budget.value_or(std::vector<core::Duration>{}),
                               .quarantined = services.integer(4) == 1,
                               .trial_in = core::Duration{services.integer(5)},
                               .maintenance_left = core::Duration{services.integer(6)}};
    if (budget && storable(record) && (services.integer(4) == 0 || services.integer(4) == 1)) {
      contents.rows.services.push_back(std::move(record));
    } else {
      ++contents.impossible;
    }
  }
  if (result != SQLITE_DONE) return std::unexpected(impl_->fault("reading services"));

  Statement intents(
      database,
      "SELECT op, project, service, replica, container, started_at, rung, trial, asked "
      "FROM intent ORDER BY op LIMIT ?");
  if (!intents) return std::unexpected(impl_->fault("reading intents"));
  intents.bind(1, static_cast<std::int64_t>(max_intents));
  while ((result = intents.step()) == SQLITE_ROW) {
    const auto container = core::ContainerId::parse(intents.text(4));
    const auto rung = rung_of(intents.text(6));
    const auto op = intents.integer(0);
    core::IntentRecord record{.op = static_cast<core::OperationId>(std::max<std::int64_t>(op, 0)),
                              .key = {.project = intents.text(1),
                                      .service = intents.text(2),
                                      .replica = narrow(intents.integer(3))},
                              .container = container.value_or(core::ContainerId{}),
                              .started_at = intents.integer(5),
                              .rung = rung.value_or(core::Rung::restart),
                              .trial = intents.integer(7) == 1,
                              .asked = intents.integer(8) == 1};
    if (op >= 0 && container && rung && storable(record)) {
      contents.rows.intents.push_back(std::move(record));
    } else {
      ++contents.impossible;
    }
  }
  if (result != SQLITE_DONE) return std::unexpected(impl_->fault("reading intents"));
  return contents;
}

std::expected<void, StoreFault> StoreFile::write(const StoreBatch& batch) {
  return in_transaction(impl_->database.get(), [&] { return impl_->apply(batch); });
}

}  // namespace sentinel::io
