#pragma once

// The pieces config.cpp and config_services.cpp share.

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.hpp"

namespace sentinel::app {

/// Takes a value; an error says what was expected.
using ValueSetter = std::function<std::expected<void, protocol::Error>(std::string_view)>;

/// A key of a mapping. Lists are handed over joined by commas, as labels and variables write them.
struct Key {
  std::string_view name;
  ValueSetter set;
};

class FileReader {
 public:
  FileReader(std::string file, Diagnostics& errors) : file_{std::move(file)}, errors_{errors} {}

  void error(Position at, std::string key, std::string text) {
    if (errors_.size() < max_errors)
      errors_.push_back({file_, at, std::move(key), std::move(text)});
  }

  /// Calls `entry` for each key of the mapping, repeated keys excepted: those are errors. False: no
  /// mapping.
  bool each(const YamlNode& node, const std::string& prefix,
            const std::function<void(const YamlNode& key, const YamlNode& value)>& entry);

  /// A mapping of nothing but `keys`.
  void mapping(const YamlNode& node, const std::string& prefix, const std::vector<Key>& keys);

  /// Sets from a scalar or a list of scalars.
  void value(const YamlNode& node, const std::string& key, const ValueSetter& set);

  void unknown(const YamlNode& key, const std::string& prefix,
               const std::vector<std::string_view>& known);

 private:
  static constexpr std::size_t max_errors = 100;
  std::string file_;
  Diagnostics& errors_;
};

std::string join_key(const std::string& prefix, std::string_view name);

/// `limits:`; read before anything it limits.
void read_limits(FileReader& reader, const YamlNode& node, protocol::SettingsLimits& limits);
/// `defaults:` or one of `services:`, upon what `settings` holds.
void read_service_settings(FileReader& reader, const YamlNode& node, const std::string& prefix,
                           const protocol::SettingsLimits& limits, core::ServiceSettings& settings);
/// `services:`.
void read_services(FileReader& reader, const YamlNode& node, protocol::LabelDefaults& labels);

}  // namespace sentinel::app
