// Times of the NAT table's transactions, in the network namespace it is started in.
//
//   bench-nat-swap SERVICES ROUNDS [--no-watch]
//
// Each service has two servers and 61 slots. Prints one JSON object: times in nanoseconds of single
// transactions, as NatKernel reports them, in the order in which they were made.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <format>
#include <iostream>
#include <random>
#include <string>
#include <string_view>

#include "io/nat_kernel.hpp"
#include "io/runtime.hpp"

namespace {

using namespace sentinel;

core::VipKey vip(std::uint32_t number) {
  core::IpAddress address;
  address.bytes = {198, 18, static_cast<std::uint8_t>(number / 256),
                   static_cast<std::uint8_t>(number % 256)};
  return {address, core::L4::tcp, 443};
}
core::Mark mark(std::uint32_t service, std::uint32_t server) {
  return core::mark_base + 2 * service + server;
}

core::NatTable table_of(std::uint32_t services) {
  core::NatTable table;
  for (std::uint32_t number = 0; number < services; ++number) {
    core::NatService service;
    for (std::uint32_t slot = 0; slot < 61; ++slot) service.slots.push_back(mark(number, slot % 2));
    table.services[vip(number)] = std::move(service);
    for (std::uint32_t server = 0; server < 2; ++server) {
      core::IpAddress address;
      address.bytes = {10, static_cast<std::uint8_t>(server),
                       static_cast<std::uint8_t>(number / 256),
                       static_cast<std::uint8_t>(number % 256)};
      table.servers[mark(number, server)] = {address, 8443};
      table.live.insert(mark(number, server));
    }
  }
  return table;
}

template <typename T>
T must(std::expected<T, io::Error> result) {
  if (!result) {
    std::cerr << result.error().text << '\n';
    std::exit(1);
  }
  return *std::move(result);
}

class Times {
 public:
  explicit Times(std::string_view name) : name_(name) {}
  void add(core::Duration took) {
    text_ += std::format("{}{}", text_.empty() ? "" : ",", took.count());
  }
  std::string json() const { return std::format("\"{}\":[{}]", name_, text_); }

 private:
  std::string_view name_;
  std::string text_;
};

/// The first `services` of those given without their first server, as a pool would change it.
core::NatTable without_first(core::NatTable table, std::uint32_t begin, std::uint32_t services) {
  for (std::uint32_t number = begin; number < begin + services; ++number) {
    for (core::Mark& slot : table.services.at(vip(number)).slots) slot = mark(number, 1);
    table.live.erase(mark(number, 0));
  }
  return table;
}

std::uint32_t number(const char* text) {
  std::uint32_t value = 0;
  const std::string_view all{text};
  const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), value);
  if (error != std::errc{} || end != all.data() + all.size()) value = 0;
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint32_t services = argc > 2 ? number(argv[1]) : 0;
  const std::uint32_t rounds = argc > 2 ? number(argv[2]) : 0;
  if (services == 0 || services > 65'000 || rounds == 0) {
    std::cerr << "usage: bench-nat-swap SERVICES ROUNDS [--no-watch]\n";
    return 2;
  }
  boost::asio::io_context context;
  const auto kernel = must(io::NatKernel::open({}));
  const core::NatTable table = table_of(services);
  Times create{"create"};
  Times load{"load"};
  create.add(must(kernel->create(table)).took);
  const core::Time begin = io::now();
  if (must(kernel->load()) != table) {
    std::cerr << "what was read is not what was written\n";
    return 1;
  }
  load.add(io::now() - begin);
  bool foreign = false;
  if (argc < 4 || std::string_view{argv[3]} != "--no-watch") {
    if (const auto made = kernel->watch(context, [&](const std::string&) { foreign = true; });
        !made) {
      std::cerr << made.error().text << '\n';
      return 1;
    }
  }

  std::mt19937 random{1};  // NOLINT: the same services in every run
  Times slot{"slot"};
  for (std::uint32_t round = 0; round < rounds; ++round) {
    const core::VipKey key = vip(static_cast<std::uint32_t>(random() % services));
    const core::Mark from = table.services.at(key).slots.front();
    const core::Mark to = table.services.at(key).slots.back() == from
                              ? table.services.at(key).slots.at(1)
                              : table.services.at(key).slots.back();
    for (const auto& [before, then] : {std::pair{from, to}, std::pair{to, from}}) {
      slot.add(
          must(kernel->apply({core::SetSlot{key, core::SlotClass::small, 0, before, then}})).took);
    }
    context.poll();
  }

  // A server of up to three services: 30 or 31 slots in each.
  const std::uint32_t wide = std::min(services, 3U);
  Times server{"server"};
  std::size_t slots = 0;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    const auto first = static_cast<std::uint32_t>(random() % (services - wide + 1));
    // Tables of these services alone: what changes is the same, and the bench is sooner done.
    core::NatTable part;
    for (std::uint32_t i = first; i < first + wide; ++i) {
      part.services.insert(*table.services.find(vip(i)));
      for (std::uint32_t of = 0; of < 2; ++of) {
        part.servers.insert(*table.servers.find(mark(i, of)));
        part.live.insert(mark(i, of));
      }
    }
    const core::NatTable reduced = without_first(part, first, wide);
    const auto out = core::difference(part, reduced);
    slots = static_cast<std::size_t>(std::ranges::count_if(
        out, [](const auto& change) { return std::holds_alternative<core::SetSlot>(change); }));
    server.add(must(kernel->apply(out)).took);
    server.add(must(kernel->apply(core::difference(reduced, part))).took);
    context.poll();
  }
  const auto end = must(kernel->load());
  if (end != table || foreign) {
    std::cerr << "the table is not what it was at the beginning\n";
    return 1;
  }
  std::cout << std::format("{{\"services\":{},\"slots\":{},{},{},{},{}}}\n", services, slots,
                           create.json(), load.json(), slot.json(), server.json());
  return 0;
}
