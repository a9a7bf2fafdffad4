#pragma once

#include <span>
#include <string_view>

namespace sentinel::app {

/// The known word that differs from `word` by at most two letters (one for short words); empty when
/// there is none.
std::string_view closest(std::string_view word, std::span<const std::string_view> known);

}  // namespace sentinel::app
