// What the file names: targets, which are services without container, and maintenance windows.

#include <algorithm>
#include <unordered_set>

#include "core/impl.hpp"
#include "core/window.hpp"

namespace sentinel::core {
namespace {

constexpr Duration longest_window = 30 * 24h;

}  // namespace

void Core::Impl::handle(const SetTargets& event) {
  std::unordered_set<ServiceId> listed;
  for (const auto& target : event.targets) {
    const auto known = keys_.find(target->key);
    Service* s = known == keys_.end() ? create_service(target->key, target->settings)
                                      : &services_.at(known->second);
    if (s == nullptr || !listed.insert(s->id).second) continue;
    if (!s->target) take_from_containers(*s);
    set_target(*s, target);
    evaluate(*s);
  }
  std::vector<ServiceId> gone;
  for (const auto& [id, s] : services_) {
    if (s.target && !listed.contains(id)) gone.push_back(id);
  }
  std::ranges::sort(gone);
  for (const ServiceId id : gone) {
    const Service& s = services_.at(id);
    const ServiceKey key = s.key;
    remove_service(id, s.name + " is no longer a target: no longer watched");
    give_to_containers(key);
  }
}

void Core::Impl::set_target(Service& s, std::shared_ptr<const TargetInfo> target) {
  const auto old = std::exchange(s.target, std::move(target));
  s.budget = s.target->settings.budget;
  if (old && old->witness == s.target->witness) {
    carry_probes(s, old->settings.probes);
  } else {
    reset_probes(s, true);
  }
}

void Core::Impl::take_from_containers(Service& s) {
  for (const auto& id : s.containers) containers_.at(id).service = 0;
  s.containers.clear();
  choose_current(s);
  s.empty_since = never;
  s.stale_check = never;
  if (s.counted) {
    s.counted = false;
    --watched_;
  }
}

void Core::Impl::give_to_containers(const ServiceKey& key) {
  for (auto& [id, c] : containers_) {
    if (c.info && c.info->key == key) {
      c.shadow_told = false;
      want_inspect(c);
    }
  }
}

void Core::Impl::handle(const SetWindows& event) {
  std::vector<Window> open;
  for (const auto& window : event.open) {
    if (window.left <= Duration{}) continue;
    open.push_back({window, after(now_, std::min(window.left, longest_window))});
  }
  const auto told = std::exchange(windows_, std::move(open));
  const auto named = [](const std::vector<Window>& windows, const std::string& name) {
    return std::ranges::any_of(windows, [&](const Window& w) { return w.window.name == name; });
  };
  for (auto& [id, s] : services_) {
    cover(s);
    evaluate(s);
  }
  for (const auto& w : windows_) {
    if (named(told, w.window.name)) continue;
    const auto covered = std::ranges::count_if(services_, [&](const auto& entry) {
      return window_covers(w.window.services, entry.second.key);
    });
    Notice n;
    n.kind = NoticeKind::maintenance;
    n.text = "maintenance window " + w.window.name + " is open for " + in_words(w.until - now_) +
             ": " + std::to_string(covered) + " services are watched but not healed";
    tell(std::move(n));
  }
  for (const auto& w : told) {
    if (named(windows_, w.window.name)) continue;
    Notice n;
    n.kind = NoticeKind::maintenance_ended;
    n.text = "maintenance window " + w.window.name + " is closed";
    tell(std::move(n));
  }
}

// Closes by itself what the shell has not closed in time.
void Core::Impl::close_windows() {
  if (std::ranges::none_of(windows_, [&](const Window& w) { return w.until <= now_; })) return;
  SetWindows left;
  for (auto& w : windows_) {
    if (w.until <= now_) continue;
    left.open.push_back(w.window);
    left.open.back().left = w.until - now_;
  }
  handle(left);
}

void Core::Impl::cover(Service& s) {
  s.window_until = Time::min();
  s.window.clear();
  for (const auto& w : windows_) {
    if (w.until <= s.window_until || !window_covers(w.window.services, s.key)) continue;
    s.window_until = w.until;
    s.window = w.window.name;
  }
}

}  // namespace sentinel::core
