// Stores intents as fast as it can until killed; writes the number of each to stdout once it is
// durable.

#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <memory>
#include <string>

#include "io/store.hpp"

using namespace sentinel;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  boost::asio::io_context context;
  std::unique_ptr<io::Store> store;
  core::OperationId next = 1;
  const auto container = *core::ContainerId::parse(std::string(64, 'a'));

  const auto write_next = [&] {
    const core::ServiceKey key{
        .project = "p", .service = "s" + std::to_string(next % 7), .replica = 1};
    const core::ServiceRecord service{
        .key = key, .budget_left = {core::Duration{static_cast<std::int64_t>(next)}}};
    if (next > 20) store->perform(core::ForgetIntent{.op = next - 20, .service = service});
    store->perform(core::StoreIntent{.intent = {.op = next,
                                                .key = key,
                                                .container = container,
                                                .started_at = 7,
                                                .rung = core::Rung::kill,
                                                .trial = true},
                                     .service = service});
    ++next;
  };
  auto opened = io::Store::open(
      context, argv[1],
      [&](core::IntentStored stored) {
        if (!stored.durable) std::exit(3);
        const auto line = std::to_string(stored.op) + "\n";
        if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) std::exit(4);
        write_next();
      },
      [](const io::StoreReport& report) {
        const auto line = report.text + "\n";
        if (::write(STDERR_FILENO, line.data(), line.size()) < 0) std::exit(4);
      });
  if (!opened) return 5;
  store = std::move(*opened);
  for (const auto& intent : store->load().intents) next = std::max(next, intent.op + 1);
  const auto guard = boost::asio::make_work_guard(context);
  for (int i = 0; i < 5; ++i) write_next();
  context.run();
  return 0;
}
