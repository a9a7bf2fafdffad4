#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "store_fixture.hpp"

using namespace sentinel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using test::intent;
using test::spent;
using test::Stored;
using test::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

/// Runs the writer until it has acknowledged `lines` intents, kills it with SIGKILL, gives the last
/// acknowledged one.
core::OperationId write_and_kill(const std::string& path, int lines) {
  std::array<int, 2> pipe_ends{};
  REQUIRE(::pipe2(pipe_ends.data(), O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(pipe_ends[1], STDOUT_FILENO);
    ::execl(STORE_WRITER, STORE_WRITER, path.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(pipe_ends[1]);
  std::string text;
  std::array<char, 4096> buffer{};
  bool killed = false;
  while (true) {
    pollfd entry{.fd = pipe_ends[0], .events = POLLIN, .revents = 0};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(test::patience).count();
    if (::poll(&entry, 1, static_cast<int>(ms)) != 1) break;
    const auto count = ::read(pipe_ends[0], buffer.data(), buffer.size());
    if (count <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (!killed && std::ranges::count(text, '\n') >= lines) {
      killed = true;
      ::kill(child, SIGKILL);
    }
  }
  ::close(pipe_ends[0]);
  if (!killed) ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(killed);
  REQUIRE(WIFSIGNALED(status));
  text.resize(text.rfind('\n') + 1);
  core::OperationId last = 0;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    last = std::max<core::OperationId>(last, std::strtoull(text.c_str() + at, nullptr, 10));
  }
  return last;
}

std::size_t corrupt_files(const TemporaryDirectory& directory) {
  return static_cast<std::size_t>(
      std::ranges::count_if(fs::directory_iterator(directory.path()), [](const auto& entry) {
        const auto name = entry.path().filename().string();
        return name.contains(".corrupt-") && !name.ends_with("-wal");
      }));
}

void overwrite(const std::string& path, std::size_t from, std::size_t length) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(from));
  for (std::size_t i = 0; i < length; ++i) file.put(static_cast<char>(i * 37 + 11));
  REQUIRE(file.good());
}

/// A tmpfs of a given size, when this process may mount.
class SmallDisk {
 public:
  SmallDisk() {
    mounted_ =
        ::mount("none", directory_.path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=512k") == 0;
    error_ = errno;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  int error() const { return error_; }
  std::string file(std::string_view name) const { return directory_.file(name); }
  void fill() const {
    std::ofstream ballast(file("ballast"), std::ios::binary);
    const std::string block(4096, 'x');
    while (ballast.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void drain() const { fs::remove(file("ballast")); }

 private:
  TemporaryDirectory directory_;
  bool mounted_ = false;
  int error_ = 0;
};

}  // namespace

TEST_CASE("an intent called durable survives SIGKILL at any moment") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  std::mt19937 random(7);
  for (int round = 0; round < 12; ++round) {
    const auto last = write_and_kill(path, 1 + static_cast<int>(random() % 150));
    Stored store(path);
    CHECK(store.report_count() == 0);
    const auto restored = store.load();
    REQUIRE(!restored.intents.empty());
    const auto& newest = *std::ranges::max_element(restored.intents, {}, &core::IntentRecord::op);
    INFO("round " << round << ", acknowledged " << last << ", found " << newest.op);
    CHECK(newest.op >= last);
    // All or nothing: each intent came with its service's budget, and intents 20 behind were
    // forgotten with it.
    CHECK(restored.intents.size() <= 20 + 5);
    CHECK(std::ranges::any_of(restored.services, [&](const auto& service) {
      return service.budget_left ==
             std::vector{core::Duration{static_cast<std::int64_t>(newest.op)}};
    }));
  }
}

TEST_CASE("a damaged file is moved aside, reported, and a new one begun") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  {
    Stored store(path);
    for (core::OperationId op = 1; op <= 200; ++op)
      store.perform(intent(op, "service-" + std::to_string(op)));
    REQUIRE(store.wait_answers(200));
  }
  const auto size = fs::file_size(path);
  REQUIRE(size > 16'384);
  SECTION("no database at all") { overwrite(path, 0, 4096); }
  SECTION("pages in the middle") { overwrite(path, 4096, size - 8192); }
  SECTION("cut in half") { fs::resize_file(path, size / 2 + 100); }
  Stored store(path);
  const auto reports = store.reports(1);
  REQUIRE(reports.size() == 1);
  CHECK_THAT(reports[0].text, ContainsSubstring("was damaged"));
  CHECK(reports[0].durable);
  CHECK(reports[0].lost);
  CHECK(store.stats().durable);
  CHECK(store.load().intents.empty());
  CHECK(corrupt_files(directory) == 1);
  CHECK(store.durable(intent(7)));
}

TEST_CASE("only a few damaged files are kept") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  for (int year = 2001; year <= 2009; ++year)
    std::ofstream(path + ".corrupt-" + std::to_string(year) + "0101T000000Z") << "x";
  std::ofstream(path) << std::string(5000, 'x');
  Stored store(path);
  CHECK(store.stats().durable);
  CHECK(corrupt_files(directory) == 3);
}

TEST_CASE("no place to write: memory only, said once, regained when there is one") {
  const TemporaryDirectory directory;
  const auto path = directory.file("later/sentinel.db");
  {
    Stored store(path);
    CHECK_FALSE(store.stats().durable);
    CHECK_FALSE(store.durable(intent(1)));
    CHECK_FALSE(store.durable(intent(2, "db")));
    store.perform(core::ForgetIntent{.op = 2, .service = spent("db", 9)});
    REQUIRE(test::eventually([&] { return store.stats().failures >= 3; }));
    CHECK(store.reports(1).size() == 1);
    CHECK_FALSE(store.reports(1)[0].durable);
    fs::create_directory(directory.path() / "later");
    const auto reports = store.reports(2);
    REQUIRE(reports.size() == 2);
    CHECK(reports[1].durable);
    CHECK(store.durable(intent(3, "api")));
  }
  Stored store(path);
  const auto restored = store.load();
  REQUIRE(restored.intents.size() == 2);  // 1 was noted while there was no file
  CHECK(restored.intents[0].op == 1);
  CHECK(restored.intents[1].op == 3);
  CHECK(restored.services.size() == 3);
}

TEST_CASE("a second process on the same file is told so and does no harm") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  Stored first(path);
  CHECK(first.durable(intent(1)));
  {
    Stored second(path);
    CHECK_FALSE(second.stats().durable);
    CHECK_THAT(second.reports(1).at(0).text, ContainsSubstring("another process uses the file"));
  }
  CHECK(first.durable(intent(2)));
}

TEST_CASE("what another process stored is not erased by one that could not read it") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  auto first = std::make_unique<Stored>(path);
  CHECK(first->durable(intent(1, "a")));
  Stored second(path);
  CHECK_FALSE(second.durable(intent(2, "b")));
  first.reset();
  REQUIRE(test::eventually([&] { return second.stats().durable; }));
  second.close();
  Stored third(path);
  CHECK(third.load().intents.size() == 2);
  CHECK(third.load().services.size() == 2);
}

TEST_CASE("a full disk makes intents not durable; room makes everything durable again") {
  const SmallDisk disk;
  if (!disk.mounted()) SKIP("mounting a tmpfs is not permitted here: errno " << disk.error());
  const auto path = disk.file("sentinel.db");
  {
    Stored store(path);
    CHECK(store.durable(intent(1, "before")));
    disk.fill();
    core::OperationId op = 10;
    while (op < 500 && store.durable(intent(op, "during-" + std::to_string(op)))) ++op;
    REQUIRE(op < 500);
    CHECK_FALSE(store.stats().durable);
    CHECK_FALSE(store.durable(intent(1000, "full")));
    store.perform(core::ForgetIntent{.op = 1, .service = spent("before", 3)});
    REQUIRE(test::eventually([&] { return store.stats().failures >= 2; }));
    const auto failing = store.reports(1);
    REQUIRE(failing.size() == 1);
    CHECK_FALSE(failing[0].durable);
    CHECK_THAT(failing[0].text, ContainsSubstring("full"));
    disk.drain();
    const auto reports = store.reports(2);
    REQUIRE(reports.size() == 2);
    CHECK(reports[1].durable);
    CHECK(store.durable(intent(2000, "after")));
  }
  Stored store(path);
  const auto restored = store.load();
  const auto has = [&](core::OperationId op) {
    return std::ranges::contains(restored.intents, op, &core::IntentRecord::op);
  };
  CHECK(has(1000));
  CHECK(has(2000));
  CHECK_FALSE(has(1));
}

TEST_CASE("a damaged file found while running is replaced and everything written again") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  constexpr core::OperationId count = 3000;  // more than SQLite's cache holds
  const auto name = [](core::OperationId op) {
    return "service-" + std::to_string(op) + std::string(150, 'x');
  };
  {
    Stored store(path);
    for (core::OperationId op = 1; op <= count; ++op) store.perform(intent(op, name(op)));
    REQUIRE(store.wait_answers(count));
    REQUIRE(store.idle());
    for (const auto& file : {path, path + "-wal"}) {
      if (fs::exists(file) && fs::file_size(file) > 8192)
        overwrite(file, 4096, fs::file_size(file) - 8192);
    }
    for (core::OperationId op = 1; op <= count; ++op) {
      store.perform(core::ForgetIntent{.op = op, .service = spent(name(op), 70)});
    }
    const auto reports = store.reports(3);  // failing, moved aside, durable again
    REQUIRE(reports.size() == 3);
    CHECK_FALSE(reports[0].durable);
    CHECK_THAT(reports[1].text, ContainsSubstring("was damaged"));
    CHECK(reports[2].durable);
    CHECK(store.durable(intent(5000, "after")));
  }
  CHECK(corrupt_files(directory) == 1);
  Stored store(path);
  const auto restored = store.load();
  REQUIRE(restored.services.size() == count + 1);
  CHECK(restored.services.front().budget_left.front() == 70ns);
  REQUIRE(restored.intents.size() == 1);
  CHECK(restored.intents[0].op == 5000);
}
