#pragma once

// Which services a maintenance window of the file covers.

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "core/types.hpp"

namespace sentinel::core {

/// `*` stands for any characters, also none and also `/`, and, if asked for, `?` for one;
/// everything else for itself. The whole text has to match. Cost: at most length x length.
constexpr bool glob_matches(std::string_view pattern, std::string_view text,
                            bool question_mark = false) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() &&
               (pattern[p] == text[t] || (question_mark && pattern[p] == '?'))) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  return pattern.substr(p).find_first_not_of('*') == std::string_view::npos;
}

/// Does one of the patterns match `project/service/replica`, `project/service` or `service`?
inline bool window_covers(std::span<const std::string> patterns, const ServiceKey& key) {
  const std::string full = key.to_string();
  const std::string middle = key.project.empty() ? key.service : key.project + "/" + key.service;
  return std::ranges::any_of(patterns, [&](std::string_view pattern) {
    return glob_matches(pattern, full) || glob_matches(pattern, middle) ||
           glob_matches(pattern, key.service);
  });
}

}  // namespace sentinel::core
