#include "core/nat.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace sentinel::core {
namespace {

using How = SetSpread::How;

How how(const NatService& service) {
  if (service.slots.empty()) return {};
  switch (service.spread) {
    case Spread::round_robin: return {service.slot_class, How::As::round_robin};
    case Spread::source_hash: return {service.slot_class, How::As::source_hash};
    case Spread::sticky: return {service.slot_class, How::As::sticky};
  }
  std::unreachable();
}

std::optional<Mark> mark_of(const std::vector<Mark>& slots, std::size_t slot) {
  return slot < slots.size() && slots[slot] != 0 ? std::optional{slots[slot]} : std::nullopt;
}

/// Elements of another class are other elements: those of the old one leave before the new ones
/// come.
void slot_changes(const VipKey& key, const NatService& from, const NatService& to,
                  std::vector<NatChange>& out) {
  const auto one = [&](SlotClass slot_class, std::size_t slot, std::optional<Mark> before,
                       std::optional<Mark> then) {
    if (before != then)
      out.emplace_back(SetSlot{key, slot_class, static_cast<std::uint16_t>(slot), before, then});
  };
  if (from.slot_class == to.slot_class) {
    for (std::size_t i = 0; i < std::max(from.slots.size(), to.slots.size()); ++i)
      one(to.slot_class, i, mark_of(from.slots, i), mark_of(to.slots, i));
    return;
  }
  for (std::size_t i = 0; i < from.slots.size(); ++i)
    one(from.slot_class, i, mark_of(from.slots, i), std::nullopt);
  for (std::size_t i = 0; i < to.slots.size(); ++i)
    one(to.slot_class, i, std::nullopt, mark_of(to.slots, i));
}

/// Calls f(key, value in from or null, value in to or null) for each key of either map, in order.
template <typename Map, typename F>
void side_by_side(const Map& from, const Map& to, F f) {
  auto a = from.begin();
  auto b = to.begin();
  while (a != from.end() || b != to.end()) {
    if (b == to.end() || (a != from.end() && a->first < b->first)) {
      f(a->first, &a->second, nullptr);
      ++a;
    } else if (a == from.end() || b->first < a->first) {
      f(b->first, nullptr, &b->second);
      ++b;
    } else {
      f(a->first, &a->second, &b->second);
      ++a;
      ++b;
    }
  }
}

template <typename T>
std::optional<T> value_of(const T* value) {
  return value == nullptr ? std::nullopt : std::optional{*value};
}

void set_slot(NatTable& table, const SetSlot& change) {
  NatService& service = table.services[change.service];
  const auto size = static_cast<std::size_t>(change.slot_class);
  if (service.slots.size() != size) {
    if (!change.to) return;
    service.slots.assign(size, 0);
  }
  service.slot_class = change.slot_class;
  if (change.slot < size) service.slots[change.slot] = change.to.value_or(0);
}

void set_spread(NatTable& table, const SetSpread& change) {
  if (!change.to) {
    table.services.erase(change.service);
    return;
  }
  NatService& service = table.services[change.service];
  switch (change.to->as) {
    case How::As::round_robin: service.spread = Spread::round_robin; break;
    case How::As::source_hash: service.spread = Spread::source_hash; break;
    case How::As::sticky: service.spread = Spread::sticky; break;
    case How::As::reject: service = {}; break;
  }
}

void set_server(NatTable& table, const SetServer& change) {
  if (change.to)
    table.servers.insert_or_assign(change.mark, *change.to);
  else
    table.servers.erase(change.mark);
}

template <typename Set, typename Value>
void set_member(Set& set, const Value& value, bool present) {
  if (present)
    set.insert(value);
  else
    set.erase(value);
}

}  // namespace

std::vector<NatChange> difference(const NatTable& from, const NatTable& to) {
  std::vector<NatChange> out;
  std::vector<NatChange> servers_gone;
  side_by_side(from.servers, to.servers, [&](Mark mark, const NatServer* a, const NatServer* b) {
    if (b == nullptr)
      servers_gone.emplace_back(SetServer{mark, *a, std::nullopt});
    else if (a == nullptr || *a != *b)
      out.emplace_back(SetServer{mark, value_of(a), *b});
  });
  for (const Mark mark : to.live)
    if (!from.live.contains(mark)) out.emplace_back(SetLive{mark, true});
  for (const IpPrefix& prefix : to.hairpin)
    if (!from.hairpin.contains(prefix)) out.emplace_back(SetHairpin{prefix, true});
  const NatService none;
  side_by_side(from.services, to.services,
               [&](const VipKey& key, const NatService* a, const NatService* b) {
                 slot_changes(key, a == nullptr ? none : *a, b == nullptr ? none : *b, out);
               });
  side_by_side(from.services, to.services,
               [&](const VipKey& key, const NatService* a, const NatService* b) {
                 const auto before = a == nullptr ? std::nullopt : std::optional{how(*a)};
                 const auto then = b == nullptr ? std::nullopt : std::optional{how(*b)};
                 if (before != then) out.emplace_back(SetSpread{key, before, then});
               });
  for (const Mark mark : from.live)
    if (!to.live.contains(mark)) out.emplace_back(SetLive{mark, false});
  for (const IpPrefix& prefix : from.hairpin)
    if (!to.hairpin.contains(prefix)) out.emplace_back(SetHairpin{prefix, false});
  out.insert(out.end(), std::make_move_iterator(servers_gone.begin()),
             std::make_move_iterator(servers_gone.end()));
  return out;
}

void apply(NatTable& table, const std::vector<NatChange>& changes) {
  for (const NatChange& change : changes) {
    if (const auto* server = std::get_if<SetServer>(&change))
      set_server(table, *server);
    else if (const auto* slot = std::get_if<SetSlot>(&change))
      set_slot(table, *slot);
    else if (const auto* spread = std::get_if<SetSpread>(&change))
      set_spread(table, *spread);
    else if (const auto* live = std::get_if<SetLive>(&change))
      set_member(table.live, live->mark, live->live);
    else if (const auto* hairpin = std::get_if<SetHairpin>(&change))
      set_member(table.hairpin, hairpin->prefix, hairpin->present);
  }
}

}  // namespace sentinel::core
