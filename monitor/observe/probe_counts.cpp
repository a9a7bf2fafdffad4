#include "observe/probe_counts.hpp"

#include <chrono>
#include <initializer_list>

namespace sentinel::observe {

namespace {

using core::ProbeKind;
using core::ProbeReason;

constexpr std::size_t at(ProbeReason reason) { return static_cast<std::size_t>(reason); }

class Reasons {
 public:
  void add(std::initializer_list<ProbeReason> reasons) {
    for (const ProbeReason reason : reasons) set_ |= ReasonSet{1} << static_cast<unsigned>(reason);
  }
  void add_if(bool wanted, std::initializer_list<ProbeReason> reasons) {
    if (wanted) add(reasons);
  }
  ReasonSet set() const { return set_; }

 private:
  ReasonSet set_ = 0;
};

/// What the code of a kind is called; empty for kinds that have none.
std::string_view code_family(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::http: return "sentinel_probe_http_status_code";
    case ProbeKind::smtp: return "sentinel_probe_smtp_reply_code";
    case ProbeKind::dns: return "sentinel_probe_dns_rcode";
    case ProbeKind::exec: return "sentinel_probe_exit_code";
    default: return {};
  }
}

std::string_view code_help(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::http: return "Status of the last answer, 0 without one";
    case ProbeKind::smtp: return "Code of the last reply that was read, 0 without one";
    case ProbeKind::dns: return "Response code of the last answer, 0 also without one";
    default: return "Exit code of the last command, 0 also without one";
  }
}

}  // namespace

ReasonSet possible_reasons(const core::ProbeSpec& spec) {
  using enum ProbeReason;
  Reasons r;
  r.add({timeout, internal});
  if (spec.kind != ProbeKind::exec) {
    // The container's own address, or a name.
    r.add_if(spec.host.empty(), {no_address});
    r.add_if(!spec.host.empty(), {resolve});
    r.add({unreachable});
  }
  const auto add_tls = [&r](const core::TlsOptions& tls) {
    r.add({ProbeReason::tls, certificate_expired});
    r.add_if(tls.verify, {certificate_untrusted, certificate_name});
  };
  switch (spec.kind) {
    case ProbeKind::http:
      r.add({refused, reset, protocol, status, health});
      r.add_if(!spec.http.body_contains.empty() || !spec.http.body_regex.empty() ||
                   !spec.http.json.empty(),
               {body});
      r.add_if(spec.http.max_redirects > 0, {redirect});
      if (spec.http.tls) add_tls(spec.tls);
      break;
    case ProbeKind::tcp:
      r.add({refused, reset});
      r.add_if(!spec.tcp.expect.empty(), {body});
      break;
    case ProbeKind::tls:
      r.add({refused, reset});
      add_tls(spec.tls);
      break;
    case ProbeKind::dns:
      r.add({refused, protocol, rcode});
      r.add_if(spec.dns.tcp, {reset});
      r.add_if(!spec.dns.expect.empty(), {answer});
      break;
    case ProbeKind::smtp:
      r.add({refused, reset, protocol, status});
      r.add_if(spec.smtp.starttls == core::StartTls::required, {starttls});
      if (spec.smtp.tls || spec.smtp.starttls != core::StartTls::none) add_tls(spec.tls);
      break;
    case ProbeKind::icmp: r.add({loss}); break;
    case ProbeKind::exec: r.add({status}); break;
  }
  return r.set();
}

void ProbeCounts::on(const core::ProbeOutcome& found, core::ProbeKind kind_now,
                     std::int64_t unix_ns) {
  kind = kind_now;
  ++results[static_cast<std::size_t>(found.verdict)];
  if (found.verdict == core::Verdict::fail) ++reasons[at(found.reason)];
  last_success = found.verdict != core::Verdict::fail;
  last_unix_ns = unix_ns;
  code = found.code;
  phases = found.phases;
  for (std::size_t i = 0; i < probe_phases.size(); ++i) {
    if (phases.*probe_phases[i].member > core::Duration{})
      phases_seen |= static_cast<std::uint8_t>(1U << i);
  }
  // A probe that does not come as far as the handshake tells nothing new about the certificate.
  if (found.cert_not_after) cert_not_after = found.cert_not_after;
  loss = found.loss;
}

void write_probes(SeriesWriter& w, std::span<const ProbeCounts* const> probes,
                  const Distribution& others) {
  w.family("sentinel_probes_total", "Probes by their result", SeriesType::counter);
  for (const ProbeCounts* p : probes) {
    for (std::size_t i = 0; i < p->results.size(); ++i)
      w.sample(p->labels, "result", to_string(core::all_verdicts[i]), p->results[i]);
  }
  w.family("sentinel_probe_failures_total", "Failed probes by reason", SeriesType::counter);
  for (const ProbeCounts* p : probes) {
    for (const ProbeReason reason : core::all_probe_reasons) {
      const std::uint32_t n = p->reasons[at(reason)];
      if (n > 0 || contains(p->shown, reason))
        w.sample(p->labels, "reason", core::to_string(reason), n);
    }
  }
  w.family("sentinel_probe_interval_seconds", "How often the probe runs while nothing changes",
           SeriesType::gauge);
  for (const ProbeCounts* p : probes) w.sample(p->labels, core::in_seconds(p->interval));
  // A probe that never ran has no last result.
  w.family("sentinel_probe_success", "1 when the last probe passed, warnings included",
           SeriesType::gauge);
  for (const ProbeCounts* p : probes) {
    if (p->last_unix_ns != 0) w.sample(p->labels, p->last_success ? 1 : 0);
  }
  w.family("sentinel_probe_last_timestamp_seconds", "When the last probe finished",
           SeriesType::gauge);
  for (const ProbeCounts* p : probes) {
    if (p->last_unix_ns == 0) continue;
    // To the millisecond: more digits would be noise that is sent.
    const std::int64_t unix_ms = p->last_unix_ns / 1'000'000;
    w.sample(p->labels, static_cast<double>(unix_ms) / 1e3);
  }
  for (const ProbeKind kind : {ProbeKind::http, ProbeKind::smtp, ProbeKind::dns, ProbeKind::exec}) {
    w.family(code_family(kind), code_help(kind), SeriesType::gauge);
    for (const ProbeCounts* p : probes) {
      if (p->kind == kind && p->last_unix_ns != 0) w.sample(p->labels, p->code);
    }
  }
  w.family("sentinel_probe_loss_ratio", "Packets of the last ICMP probe without an answer",
           SeriesType::gauge);
  for (const ProbeCounts* p : probes) {
    if (p->loss) w.sample(p->labels, *p->loss);
  }
  w.family("sentinel_probe_cert_not_after_timestamp_seconds",
           "When the first certificate of the chain that was last seen ends", SeriesType::gauge);
  for (const ProbeCounts* p : probes) {
    if (p->cert_not_after) w.sample(p->labels, static_cast<double>(*p->cert_not_after));
  }
  w.family("sentinel_probe_phase_duration_seconds",
           "Where the time of the last probe went; 0 for a phase it did not reach",
           SeriesType::gauge);
  for (const ProbeCounts* p : probes) {
    for (std::size_t i = 0; i < probe_phases.size(); ++i) {
      if ((p->phases_seen >> i & 1U) != 0)
        w.sample(p->labels, "phase", probe_phases[i].name,
                 core::in_seconds(p->phases.*probe_phases[i].member));
    }
  }
  w.family("sentinel_probe_duration_seconds", "Wall time of probes", SeriesType::histogram);
  bool shared = false;
  for (const ProbeCounts* p : probes) {
    if (p->own_histogram) {
      w.sample(p->labels, p->duration);
    } else {
      shared = true;
    }
  }
  if (shared) {
    std::string labels{others_labels};
    append_label(labels, "probe", "");
    w.sample(labels, others);
  }
}

}  // namespace sentinel::observe
