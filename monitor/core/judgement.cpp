#include "core/judgement.hpp"

#include <algorithm>
#include <cstdio>

namespace sentinel::core {
namespace {

constexpr std::size_t max_reason = 300;

// Cuts at a code point's border.
std::string bounded(std::string text) {
  if (text.size() <= max_reason) return text;
  std::size_t end = max_reason;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text + "…";
}

std::string health_reason(const ContainerStatus& status) {
  std::string output = status.health_output;
  // A reason is part of a sentence, and a sentence is one line.
  std::ranges::replace(output, '\n', ' ');
  while (output.ends_with(' ')) output.pop_back();
  if (output.empty()) return "health check fails";
  return bounded("health check fails: " + output);
}

std::string exit_reason(const ContainerStatus& status) {
  std::string text = "exited with code " + std::to_string(status.exit_code);
  if (status.oom_killed) text += ", killed for lack of memory";
  return text;
}

void judge_exited(const JudgementInput& in, Judgement& out) {
  if (in.purpose.on_purpose(in.status->exit_code, in.status->oom_killed)) {
    out.state = State::stopped;
    out.reason = "stopped (exit code " + std::to_string(in.status->exit_code) + ")";
    return;
  }
  out.state = State::unhealthy;
  out.failures.exited = true;
  out.reason = exit_reason(*in.status);
}

void judge_running(const JudgementInput& in, Judgement& out) {
  bool starting = false;
  bool unknown = false;
  bool warn = false;
  std::size_t passing = 0;
  std::size_t counted = 0;
  for (const auto& probe : in.probes) {
    if (probe.ignored) continue;
    ++counted;
    if (!probe.verdict) {
      (in.run_seen_from_start || in.in_grace ? starting : unknown) = true;
      continue;
    }
    switch (*probe.verdict) {
      case Verdict::pass: ++passing; break;
      case Verdict::warn:
        ++passing;
        warn = true;
        if (out.reason.empty() && probe.sentence != nullptr) out.reason = *probe.sentence;
        break;
      case Verdict::fail:
        if (in.in_grace && !probe.passed_in_run) {
          starting = true;
          break;
        }
        if (!out.failures.probe) {
          out.reason =
              probe.sentence != nullptr ? *probe.sentence : "probe " + probe.spec->name + " fails";
          out.probe_reason = probe.reason;
        }
        out.failures.probe = true;
        break;
    }
  }
  const bool probes_pass = counted > 0 && passing == counted;
  switch (in.status->health) {
    case EngineHealth::none:
    case EngineHealth::healthy: break;
    case EngineHealth::starting: starting = starting || !probes_pass; break;
    case EngineHealth::unhealthy:
      if (in.unchecked) {
        out.unchecked = true;
        starting = starting || !probes_pass;
      } else if (in.in_grace) {
        starting = true;
      } else {
        out.failures.unhealthy = true;
        // The probe's sentence is fresher and says what a user sees; keep it when there is one.
        if (!out.failures.probe) out.reason = health_reason(*in.status);
      }
      break;
  }
  if (out.failing()) {
    out.state = State::unhealthy;
    out.reason = bounded(std::move(out.reason));
    return;
  }
  if (starting) {
    out.state = State::starting;
    out.reason = out.unchecked ? "not checked since it was paused" : "starting";
  } else if (unknown) {
    out.state = State::unknown;
    out.reason = "not probed yet";
  } else if (warn) {
    out.state = State::degraded;
    out.reason = bounded(std::move(out.reason));
  } else {
    out.state = State::healthy;
    if (in.status->health == EngineHealth::healthy)
      out.reason = probes_pass ? "health check and probes pass" : "health check passes";
    else
      out.reason = probes_pass ? "probes pass" : "running, without health check";
    if (in.target && !probes_pass) {
      out.state = State::unknown;
      out.reason = "it has no probe";
    }
  }
}

}  // namespace

bool Purpose::on_purpose(int exit_code, bool oom_killed) const {
  if (stop_seen || signalled_before_die) return true;
  if (ours) return false;
  if (exit_code == 0) return true;
  if (die_seen) return false;
  return !oom_killed && (exit_code == 130 || exit_code == 137 || exit_code == 143);
}

bool health_unchecked(const ContainerStatus& status, const ContainerInfo& info) {
  return status.run == RunState::running && status.health == EngineHealth::unhealthy &&
         info.health_check && status.failing_streak < info.health_check->retries;
}

Judgement judge(const JudgementInput& in) {
  Judgement out;
  if (in.target) {
    ContainerStatus running;
    running.run = RunState::running;
    JudgementInput probes = in;
    probes.status = &running;
    judge_running(probes, out);
    return out;
  }
  if (in.status == nullptr) {
    out.state = State::stopped;
    out.reason = "no container";
    return out;
  }
  switch (in.status->run) {
    case RunState::created:
      out.state = State::stopped;
      out.reason = "created, not started";
      // A restart of ours whose start failed can leave it here or in `exited`.
      if (in.purpose.ours && !in.purpose.stop_seen) judge_exited(in, out);
      break;
    case RunState::removing:
    case RunState::dead:
      out.state = State::stopped;
      out.reason = "being removed";
      break;
    case RunState::restarting:
      out.state = State::unhealthy;
      out.policy_acts = true;
      out.reason = exit_reason(*in.status) + "; its restart policy starts it again";
      break;
    case RunState::exited: judge_exited(in, out); break;
    case RunState::paused:
      out.state = State::unknown;
      out.reason = "paused";
      break;
    case RunState::running: judge_running(in, out); break;
  }
  return out;
}

Duration start_grace(const ContainerInfo& info) {
  if (info.settings.start_grace) return *info.settings.start_grace;
  if (info.health_check) return info.health_check->start_period;
  return 30s;
}

std::string in_words(Duration d) {
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::max(d, Duration{})).count();
  char text[48];
  if (ms < 1000) {
    std::snprintf(text, sizeof text, "%lld ms", static_cast<long long>(ms));
  } else if (ms < 60'000) {
    std::snprintf(text, sizeof text, ms % 1000 == 0 ? "%lld s" : "%lld.%lld s",
                  static_cast<long long>(ms / 1000), static_cast<long long>(ms % 1000 / 100));
  } else if (ms < 3'600'000) {
    const auto s = static_cast<long long>(ms / 1000);
    std::snprintf(text, sizeof text, s % 60 == 0 ? "%lld min" : "%lld min %lld s", s / 60, s % 60);
  } else {
    const auto m = static_cast<long long>(ms / 60'000);
    std::snprintf(text, sizeof text, m % 60 == 0 ? "%lld h" : "%lld h %lld min", m / 60, m % 60);
  }
  return text;
}

}  // namespace sentinel::core
