#pragma once

// Turns single results into a verdict with memory. Three levels: pass, warn, fail. A level counts
// only with evidence, in both directions:
//
//   unknown    fall x fail -> fail     rise x not-fail -> pass when all `rise` were passes, else
//   warn pass       fall x fail -> fail     fall x not-pass -> warn warn       fall x fail -> fail
//   rise x pass     -> pass fail       rise x not-fail -> pass when all `rise` were passes, else
//   warn
//
// "n x" is n in a row, or n among the latest `fall_of` (`rise_of`) results. Each change begins with
// an empty memory: what led to one change is no evidence for the next. So n results at least lie
// between two changes, and a failure that happens n times within any `fall_of` results after a
// change is seen at the nth of them.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>

#include "core/types.hpp"

namespace sentinel::core {

/// 1 <= fall <= fall_of <= 64, or fall_of == 0: in a row (then fall may be any positive number).
/// Rise likewise.
struct JudgeRule {
  unsigned fall = 3;
  unsigned fall_of = 0;
  unsigned rise = 2;
  unsigned rise_of = 0;
};

inline JudgeRule rule_of(const ProbeSpec& spec) {
  return {spec.fall, spec.fall_of, spec.rise, spec.rise_of};
}

/// Counts how often something was so: in a row, and among the latest 64.
class Tally {
 public:
  void add(bool so) {
    history_ = (history_ << 1U) | (so ? 1U : 0U);
    streak_ = so ? std::min(streak_ + 1, 1'000'000'000U) : 0;
  }
  bool reached(unsigned n, unsigned of) const { return of == 0 ? streak_ >= n : among(of) >= n; }
  /// Among the latest `of`, 1..64.
  unsigned among(unsigned of) const {
    const auto mask = of >= 64 ? ~std::uint64_t{} : (std::uint64_t{1} << of) - 1;
    return static_cast<unsigned>(std::popcount(history_ & mask));
  }
  /// Is a beginning made: the latest result in a row, one of the latest n otherwise?
  bool begun(unsigned n, unsigned of) const {
    return among(of == 0 ? 1 : std::clamp(n, 1U, 64U)) > 0;
  }

 private:
  std::uint64_t history_ = 0;  // latest in bit 0
  unsigned streak_ = 0;
};

class ProbeJudge {
 public:
  /// Returns true when the verdict changed.
  bool add(Verdict result, const JudgeRule& rule) {
    fails_.add(result == Verdict::fail);
    answers_.add(result != Verdict::fail);
    unwell_.add(result != Verdict::pass);
    passes_.add(result == Verdict::pass);
    const auto next = decide(rule);
    if (next == verdict_) return false;
    verdict_ = next;
    fails_ = answers_ = unwell_ = passes_ = {};
    return true;
  }

  /// nullopt: not enough results yet.
  std::optional<Verdict> verdict() const { return verdict_; }

  /// The latest result was no failure; false before the first since the verdict.
  bool answered_last() const { return answers_.among(1) > 0; }

  /// A change is in the air: probe at the fast interval.
  bool pending(const JudgeRule& rule) const {
    if (!verdict_) return true;
    const bool worse = *verdict_ == Verdict::pass ? unwell_.begun(rule.fall, rule.fall_of)
                                                  : fails_.begun(rule.fall, rule.fall_of);
    const bool better = *verdict_ == Verdict::fail ? answers_.begun(rule.rise, rule.rise_of)
                                                   : passes_.begun(rule.rise, rule.rise_of);
    switch (*verdict_) {
      case Verdict::pass: return worse;
      case Verdict::warn: return worse || better;
      case Verdict::fail: return better;
    }
    return false;
  }

  void reset() { *this = {}; }

  /// A pass or a warning stays; a failure is not known any more, and what led towards one is gone.
  void forget_failures() {
    const auto known = verdict_ == Verdict::fail ? std::nullopt : verdict_;
    reset();
    verdict_ = known;
  }

 private:
  std::optional<Verdict> decide(const JudgeRule& rule) const {
    const bool falls = fails_.reached(rule.fall, rule.fall_of);
    const bool rises = answers_.reached(rule.rise, rule.rise_of);
    const bool clean = passes_.reached(rule.rise, rule.rise_of);
    if (verdict_ == Verdict::fail || !verdict_) {
      if (!verdict_ && falls) return Verdict::fail;
      if (!rises) return verdict_;
      return clean ? Verdict::pass : Verdict::warn;
    }
    if (falls) return Verdict::fail;
    if (*verdict_ == Verdict::warn) return clean ? Verdict::pass : Verdict::warn;
    return unwell_.reached(rule.fall, rule.fall_of) ? Verdict::warn : Verdict::pass;
  }

  std::optional<Verdict> verdict_;
  Tally fails_;
  Tally answers_;
  Tally unwell_;
  Tally passes_;
};

}  // namespace sentinel::core
