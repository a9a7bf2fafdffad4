#pragma once

// Words, texts and ranges of alert_json.hpp, on both ways. Private to the folder.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/alert_model.hpp"

namespace sentinel::protocol::alert_words {

inline constexpr std::int64_t max_wall_ms = std::int64_t{1} << 52U;  // beyond any date
inline constexpr std::int64_t max_count = 1'000'000'000;

// The words of the files. They stay, whatever people are shown.
template <typename Enum>
struct Word {
  Enum value;
  std::string_view text;
};
inline constexpr std::array kinds{
    Word{core::SubjectKind::service, "service"}, Word{core::SubjectKind::server, "server"},
    Word{core::SubjectKind::pool, "pool"}, Word{core::SubjectKind::engine, "engine"},
    Word{core::SubjectKind::sentinel, "sentinel"}};
inline constexpr std::array severities{Word{core::Severity::info, "info"},
                                       Word{core::Severity::warning, "warning"},
                                       Word{core::Severity::critical, "critical"}};
inline constexpr std::array message_kinds{
    Word{core::MessageKind::firing, "firing"},     Word{core::MessageKind::changed, "changed"},
    Word{core::MessageKind::reminder, "reminder"}, Word{core::MessageKind::resolved, "resolved"},
    Word{core::MessageKind::digest, "digest"},     Word{core::MessageKind::test, "test"}};
inline constexpr std::array operators{
    Word{core::Matcher::Op::equal, "="}, Word{core::Matcher::Op::not_equal, "!="},
    Word{core::Matcher::Op::like, "=~"}, Word{core::Matcher::Op::not_like, "!~"}};

/// An identity, as it is unless it is too long or holds control characters.
std::string name(std::string_view text, std::size_t bytes);
std::string name(std::string_view text);
/// One line.
std::string sentence(std::string_view text);
/// Any text, cut between characters.
std::string_view block(std::string_view text);

}  // namespace sentinel::protocol::alert_words
