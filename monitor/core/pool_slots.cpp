#include "core/pool_slots.hpp"

#include <algorithm>
#include <numeric>

#include "core/pool_config.hpp"
#include "core/rng.hpp"

namespace sentinel::core {
namespace {

constexpr unsigned whole_share = 1000;

/// `slots` in proportion to `parts`: largest remainders, the first of equals.
std::vector<std::size_t> apportion(const std::vector<std::uint64_t>& parts, std::size_t slots) {
  const auto all = std::accumulate(parts.begin(), parts.end(), std::uint64_t{0});
  std::vector<std::size_t> out(parts.size());
  if (all == 0) return out;
  std::vector<std::size_t> order(parts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::size_t given = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) given += out[i] = parts[i] * slots / all;
  std::ranges::stable_sort(order, std::greater{},
                           [&](std::size_t i) { return parts[i] * slots % all; });
  for (std::size_t i = 0; given < slots; ++i, ++given) ++out[order[i]];
  return out;
}

/// Who is next: each in proportion to what it wants in all, as evenly spread as can be (smooth
/// weighted round robin).
class Turns {
 public:
  explicit Turns(std::vector<std::size_t> wants)
      : left_{std::move(wants)}, wants_{left_}, credit_(left_.size()) {}

  /// no_server when nobody wants more.
  std::uint16_t next() {
    std::int64_t all = 0;
    std::size_t best = left_.size();
    for (std::size_t i = 0; i < left_.size(); ++i) {
      if (left_[i] == 0) continue;
      all += static_cast<std::int64_t>(wants_[i]);
      credit_[i] += static_cast<std::int64_t>(wants_[i]);
      if (best == left_.size() || credit_[i] > credit_[best]) best = i;
    }
    if (best == left_.size()) return no_server;
    credit_[best] -= all;
    --left_[best];
    return static_cast<std::uint16_t>(best);
  }

 private:
  std::vector<std::size_t> left_;
  std::vector<std::size_t> wants_;
  std::vector<std::int64_t> credit_;
};

/// A server's order of preference: offset + k * skip modulo the (prime) number of slots.
class Preference {
 public:
  Preference(std::uint64_t identity, std::size_t slots) : slots_{slots} {
    Rng rng{identity};
    at_ = rng.next() % slots;
    skip_ = 1 + (rng.next() % (slots - 1));
  }
  std::size_t next() {
    const std::size_t slot = at_;
    at_ = (at_ + skip_) % slots_;
    return slot;
  }

 private:
  std::size_t slots_;
  std::size_t at_ = 0;
  std::size_t skip_ = 1;
};

/// Gives the free slots to those that want them.
void hand_out(std::vector<std::uint16_t>& owners, const std::vector<SlotServer>& servers,
              std::vector<std::size_t> wants, SlotOrder order) {
  Turns turns{std::move(wants)};
  if (order == SlotOrder::in_turn) {
    for (auto& owner : owners)
      if (owner == no_server) owner = turns.next();
    return;
  }
  std::vector<Preference> preferences;
  preferences.reserve(servers.size());
  for (const SlotServer& server : servers) preferences.emplace_back(server.identity, owners.size());
  for (auto free = std::ranges::count(owners, no_server); free > 0; --free) {
    const std::uint16_t server = turns.next();
    if (server == no_server) return;
    // A permutation visits every slot once, so a free one comes.
    std::size_t slot = preferences[server].next();
    while (owners[slot] != no_server) slot = preferences[server].next();
    owners[slot] = server;
  }
}

std::vector<std::uint64_t> parts_of(const std::vector<SlotServer>& servers, bool whole) {
  std::vector<std::uint64_t> parts;
  parts.reserve(servers.size());
  for (const SlotServer& server : servers)
    parts.push_back(std::uint64_t{server.weight} * (whole ? whole_share : server.share));
  return parts;
}

}  // namespace

std::vector<std::uint16_t> fill_slots(const std::vector<SlotServer>& servers, std::size_t slots,
                                      SlotOrder order) {
  std::vector<std::uint16_t> owners(slots, no_server);
  if (std::ranges::all_of(servers, [](const SlotServer& s) { return s.share == 0; })) return owners;
  hand_out(owners, servers, apportion(parts_of(servers, true), slots), order);
  if (std::ranges::all_of(servers, [](const SlotServer& s) { return s.share == whole_share; }))
    return owners;

  // Owners that work keep their slots, those that start slowly as many as are theirs by now: the
  // first of their own order, so that more come back and none moves twice.
  std::vector<std::size_t> wants = apportion(parts_of(servers, false), slots);
  std::vector<std::size_t> keeps(servers.size());
  for (std::size_t i = 0; i < servers.size(); ++i)
    keeps[i] = servers[i].share == whole_share ? slots : wants[i];
  for (auto& owner : owners) {
    if (keeps[owner] == 0) {
      owner = no_server;
      continue;
    }
    --keeps[owner];
    if (wants[owner] > 0) --wants[owner];
  }
  // Rounding may leave an owner with one more than its due; then there is less to hand out than is
  // wanted.
  hand_out(owners, servers, std::move(wants), order);
  return owners;
}

std::uint64_t identity_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

SlotClass suitable_slots(const std::vector<PoolServer>& servers) {
  std::vector<std::uint64_t> parts;
  std::uint64_t all = 0;
  for (const PoolServer& server : servers) {
    if (server.role != Role::active) continue;
    parts.push_back(server.weight);
    all += server.weight;
  }
  const bool even = std::ranges::adjacent_find(parts, std::not_equal_to{}) == parts.end();
  const double allowed = even ? 0.01 : 0.02;
  for (const SlotClass candidate : {SlotClass::small, SlotClass::medium}) {
    const auto slots = static_cast<std::size_t>(candidate);
    const auto counts = apportion(parts, slots);
    bool good = true;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const double due = static_cast<double>(parts[i] * slots) / static_cast<double>(all);
      const double off = static_cast<double>(counts[i]) - due;
      good = good && off <= allowed * due && -off <= allowed * due;
    }
    if (good) return candidate;
  }
  return SlotClass::large;
}

}  // namespace sentinel::core
