#include "observe/service_counts.hpp"

#include <algorithm>
#include <chrono>

#include "observe/text.hpp"

namespace sentinel::observe {

namespace {

constexpr std::size_t max_label_bytes = 128;
constexpr std::size_t max_probes_per_service = 64;

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
  if (left_.services == 0) return nullptr;
  --left_.services;
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
  append_label(counts.labels, "project", counts.project);
  append_label(counts.labels, "service", counts.service);
  append_label(counts.labels, "replica", counts.replica);
  counts.own_histograms = left_.service_histograms > 0;
  if (counts.own_histograms) --left_.service_histograms;
  return &services_.emplace(id, std::move(counts)).first->second;
}

ProbeCounts* ServiceCountsTable::ensure_probe(ServiceCounts& counts, std::string_view name) {
  for (ProbeCounts& probe : counts.probes) {
    if (probe.name == name) return &probe;
  }
  if (left_.probes == 0 || counts.probes.size() >= max_probes_per_service) return nullptr;
  --left_.probes;
  std::string label = one_line(name, max_label_bytes);
  // Two different names may look the same once made safe.
  while (std::ranges::contains(counts.probes, label, &ProbeCounts::label)) label += '~';
  ProbeCounts& probe = counts.probes.emplace_back();
  probe.name = name;
  probe.label = std::move(label);
  probe.labels = counts.labels;
  append_label(probe.labels, "probe", probe.label);
  probe.own_histogram = counts.own_histograms && left_.probe_histograms > 0;
  if (probe.own_histogram) --left_.probe_histograms;
  return &probe;
}

void ServiceCountsTable::erase_probe(const ProbeCounts& probe) {
  ++left_.probes;
  if (probe.own_histogram) ++left_.probe_histograms;
}

void ServiceCountsTable::erase(core::ServiceId id) {
  const auto it = services_.find(id);
  if (it == services_.end()) return;
  identities_.erase(identity(it->second));
  for (const ProbeCounts& probe : it->second.probes) erase_probe(probe);
  if (it->second.own_histograms) ++left_.service_histograms;
  ++left_.services;
  services_.erase(it);
}

/// A probe that was taken out of the settings drops its series.
void ServiceCountsTable::keep_probes(ServiceCounts& counts,
                                     const std::vector<core::ProbeSpec>& specs) {
  std::erase_if(counts.probes, [&](const ProbeCounts& probe) {
    const bool gone = !std::ranges::contains(specs, probe.name, &core::ProbeSpec::name);
    if (gone) erase_probe(probe);
    return gone;
  });
  for (const core::ProbeSpec& spec : specs) {
    if (ProbeCounts* probe = ensure_probe(counts, spec.name)) {
      probe->kind = spec.kind;
      probe->interval = spec.interval;
      probe->shown = possible_reasons(spec);
    } else {
      ++probes_without_;
    }
  }
}

void ServiceCountsTable::keep_only(const std::vector<core::ServiceView>& services, core::Time now) {
  std::unordered_set<core::ServiceId> present;
  present.reserve(services.size());
  for (const core::ServiceView& view : services) present.insert(view.id);
  std::vector<core::ServiceId> gone;
  for (const auto& [id, counts] : services_) {
    if (!present.contains(id)) gone.push_back(id);
  }
  for (const core::ServiceId id : gone) erase(id);
  probes_without_ = 0;
  for (const core::ServiceView& view : services) {
    ServiceCounts* counts = ensure(view.id, view.key);
    if (counts == nullptr) {
      probes_without_ += view.settings->probes.size();
      continue;
    }
    counts->failing = is_failing(view.state);
    counts->maintenance = view.overlays.maintenance;
    settle_downtime(*counts, now);
    keep_probes(*counts, view.settings->probes);
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
        .observe(core::in_seconds(*t.down_for));
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
  probe->on(p.outcome, p.kind, unix_ns);
  (probe->own_histogram ? probe->duration : other_probe_duration)
      .observe(core::in_seconds(p.outcome.took));
}

}  // namespace sentinel::observe
