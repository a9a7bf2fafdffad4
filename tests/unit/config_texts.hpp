#pragma once

// What comes of a text as the monitor's file `f.yaml`.

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "app/config.hpp"

namespace sentinel::app {

inline Diagnostics errors_of(const std::string& text, const Environment& variables = {}) {
  MonitorConfig config;
  Diagnostics errors;
  read_config_text(text, "f.yaml", variables, config, errors);
  return errors;
}

/// It is to have no errors.
inline MonitorConfig config_of(const std::string& text, const Environment& variables = {}) {
  MonitorConfig config;
  Diagnostics errors;
  read_config_text(text, "f.yaml", variables, config, errors);
  for (const Diagnostic& error : errors) FAIL_CHECK(error.to_string());
  return config;
}

}  // namespace sentinel::app
