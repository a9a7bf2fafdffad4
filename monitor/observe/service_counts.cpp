#include "observe/service_counts.hpp"

#include <algorithm>
#include <chrono>

#include "observe/text.hpp"

namespace sentinel::observe {

namespace {

constexpr std::size_t max_label_bytes = 128;
constexpr std::size_t max_probes_per_service = 64;

double seconds(core::Duration d) { return std::chrono::duration<double>(d).count(); }

bool is_failing(core::State state) {
  return state == core::State::unhealthy || state == core::State::recovering ||
         state == core::State::quarantined;
}

/// Time counts while the service fails and nobody has suspended it.
void settle_downtime(ServiceCounts& c, core::Time now) {
  const bool counting = c.failing && !c.maintenance;
  if (counting == c.down_since.has_value()) return;
  if (counting) {
    c.down_since = now;
  } else {
    c.down += now - *c.down_since;
    c.down_since.reset();
  }
}

}  // namespace

void Distribution::observe(double value) {
  if (buckets_.empty()) buckets_.resize(bounds_.size());
  const auto at = std::ranges::lower_bound(bounds_, value);
  if (at != bounds_.end()) ++buckets_[static_cast<std::size_t>(at - bounds_.begin())];
  ++count_;
  sum_ += value;
}

bool shown_from_the_start(core::State from, core::State to) {
  using enum core::State;
  switch (from) {
    case starting: return to == healthy || to == unhealthy;
    case healthy: return to == unhealthy || to == degraded;
    case degraded: return to == healthy || to == unhealthy;
    case unhealthy: return to == recovering || to == healthy || to == quarantined;
    case recovering: return to == healthy || to == quarantined;
    case quarantined: return to == healthy;
    default: return false;
  }
}

std::string ServiceCountsTable::identity(const ServiceCounts& counts) {
  std::string all = counts.project;
  all += '\n';  // in none of the parts
  all += counts.service;
  all += '\n';
  all += counts.replica;
  return all;
}

ServiceCounts* ServiceCountsTable::find(core::ServiceId id) {
  const auto it = services_.find(id);
  return it == services_.end() ? nullptr : &it->second;
}

ServiceCounts* ServiceCountsTable::ensure(core::ServiceId id, const core::ServiceKey& key) {
  if (ServiceCounts* known = find(id)) return known;
  if (id == 0 && key.service.empty()) return nullptr;  // about the whole Engine
  if (services_.size() >= max_services_) return nullptr;
  ServiceCounts counts;
  counts.project = one_line(key.project, max_label_bytes);
  counts.service = one_line(key.service, max_label_bytes);
  counts.replica = std::to_string(key.replica);
  // Two different names may look the same once made safe; equal series would make the whole scrape
  // invalid.
  if (!identities_.insert(identity(counts)).second) {
    counts.service += '~' + std::to_string(id);
    identities_.insert(identity(counts));
  }
  counts.own_histograms = histograms_left_ > 0;
  if (counts.own_histograms) --histograms_left_;
  return &services_.emplace(id, std::move(counts)).first->second;
}

ProbeCounts* ServiceCountsTable::ensure_probe(ServiceCounts& counts, std::string_view name) {
  for (ProbeCounts& probe : counts.probes) {
    if (probe.name == name) return &probe;
  }
  if (counts.probes.size() >= max_probes_per_service) return nullptr;
  std::string label = one_line(name, max_label_bytes);
  if (std::ranges::contains(counts.probes, label, &ProbeCounts::label)) return nullptr;
  ProbeCounts& probe = counts.probes.emplace_back();
  probe.name = name;
  probe.label = std::move(label);
  return &probe;
}

void ServiceCountsTable::erase(core::ServiceId id) {
  const auto it = services_.find(id);
  if (it == services_.end()) return;
  identities_.erase(identity(it->second));
  if (it->second.own_histograms) ++histograms_left_;
  services_.erase(it);
}

void ServiceCountsTable::keep_only(const std::vector<core::ServiceView>& services, core::Time now) {
  std::unordered_map<core::ServiceId, const core::ServiceView*> present;
  present.reserve(services.size());
  for (const core::ServiceView& view : services) present.emplace(view.id, &view);
  std::vector<core::ServiceId> gone;
  for (const auto& [id, counts] : services_) {
    if (!present.contains(id)) gone.push_back(id);
  }
  for (const core::ServiceId id : gone) erase(id);
  for (const core::ServiceView& view : services) {
    ServiceCounts* counts = ensure(view.id, view.key);
    if (counts == nullptr) continue;
    counts->failing = is_failing(view.state);
    counts->maintenance = view.overlays.maintenance;
    settle_downtime(*counts, now);
    // A probe that was taken out of the labels drops its series; the order follows the settings.
    std::erase_if(counts->probes, [&](const ProbeCounts& p) {
      return std::ranges::none_of(view.settings.probes,
                                  [&](const core::ProbeSpec& s) { return s.name == p.name; });
    });
    for (const core::ProbeSpec& spec : view.settings.probes) ensure_probe(*counts, spec.name);
  }
}

void ServiceCountsTable::on(const core::Action& action, core::Time now, std::int64_t unix_ns) {
  if (const auto* transition = std::get_if<core::Transition>(&action)) {
    on_transition(*transition, now);
  } else if (const auto* notice = std::get_if<core::Notice>(&action)) {
    on_notice(*notice, now);
  } else if (const auto* report = std::get_if<core::ProbeReport>(&action)) {
    on_probe(*report, unix_ns);
  }
}

void ServiceCountsTable::on_transition(const core::Transition& t, core::Time now) {
  ServiceCounts* counts = ensure(t.service, t.key);
  if (counts == nullptr) return;
  ++counts->transitions[static_cast<std::size_t>(t.from) * 8 + static_cast<std::size_t>(t.to)];
  counts->failing = is_failing(t.to);
  counts->maintenance = t.maintenance;
  settle_downtime(*counts, now);
  const bool well = t.to == core::State::healthy || t.to == core::State::degraded;
  if (well && t.from == core::State::recovering && t.down_for) {
    (counts->own_histograms ? counts->recovery_time : other_recovery_time)
        .observe(seconds(*t.down_for));
  }
}

void ServiceCountsTable::on_notice(const core::Notice& n, core::Time now) {
  using enum core::NoticeKind;
  if (n.kind == service_removed) {
    erase(n.service);
    return;
  }
  ServiceCounts* counts = ensure(n.service, n.key);
  if (counts == nullptr) return;
  switch (n.kind) {
    case oom_killed: ++counts->oom_kills; break;
    case maintenance:
    case maintenance_ended:
      counts->maintenance = n.kind == maintenance;
      settle_downtime(*counts, now);
      break;
    case heal_acted:
      // Only an intermediate step, but the end of the rung that stops.
      if (n.rung != core::Rung::stop) break;
      [[fallthrough]];
    case healed:
    case heal_failed:
    case heal_abandoned: {
      const auto result = std::ranges::find(recovery_results, n.result);
      const auto rung = static_cast<std::size_t>(n.rung);
      if (result != recovery_results.end() && rung < rung_count) {
        ++counts->recovery[rung][static_cast<std::size_t>(result - recovery_results.begin())];
      }
      break;
    }
    default: break;
  }
}

void ServiceCountsTable::on_probe(const core::ProbeReport& p, std::int64_t unix_ns) {
  ServiceCounts* counts = ensure(p.service, p.key);
  if (counts == nullptr) return;
  ProbeCounts* probe = ensure_probe(*counts, p.probe);
  if (probe == nullptr) return;
  const core::ProbeOutcome& found = p.outcome;
  ++probe->results[static_cast<std::size_t>(found.verdict)];
  if (found.verdict == core::Verdict::fail)
    ++probe->reasons[static_cast<std::size_t>(found.reason)];
  probe->last_unix_ns = unix_ns;
  probe->last_success = found.verdict != core::Verdict::fail;
  probe->code = found.code;
  (counts->own_histograms ? probe->duration : other_probe_duration).observe(seconds(found.took));
}

}  // namespace sentinel::observe
