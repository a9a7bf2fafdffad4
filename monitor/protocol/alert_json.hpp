#pragma once

// Incidents, deliveries and silences as JSON text, for the journal. What is read may have been
// edited, or written by a bug: structure, words and numbers that are impossible refuse the whole
// text; texts are made safe for one line and cut to their bounds, on both ways, so that what was
// written comes back the same.

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "core/alert_model.hpp"
#include "protocol/error.hpp"

namespace sentinel::protocol {

struct AlertBounds {
  static constexpr std::size_t document = std::size_t{16} << 20U;
  static constexpr std::size_t id = 64;
  static constexpr std::size_t name = 1024;      // of a subject, receiver, label or its value
  static constexpr std::size_t sentence = 4096;  // one line
  static constexpr std::size_t block = 8192;     // health output, log lines; may hold line feeds
  static constexpr std::size_t members = 1000;
  static constexpr std::size_t lines = 100;
  static constexpr std::size_t receivers = 1000;
  static constexpr std::size_t labels = 128;
  static constexpr std::size_t matchers = 64;
  static constexpr std::size_t covers = 1000;
};

std::string format_incident(const core::Incident& incident);
std::string format_delivery(const core::Delivery& delivery);
std::string format_silence(const core::Silence& silence);

/// An error names the member that is impossible.
std::expected<core::Incident, Error> parse_incident(std::string_view text);
std::expected<core::Delivery, Error> parse_delivery(std::string_view text);
std::expected<core::Silence, Error> parse_silence(std::string_view text);

}  // namespace sentinel::protocol
