#pragma once

// The pieces config.cpp and config_services.cpp share.

#include <cstdint>
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

/// How a list of the file becomes the one text that labels and variables would hold.
enum class ListStyle : std::uint8_t {
  none,   // no list here
  comma,  // a,b
  lines,  // one a line; a mapping becomes `key: value` lines
  words,  // a JSON array of strings
};

struct ValueForm {
  ListStyle list = ListStyle::comma;
  bool secret = false;  // an error does not show it
};

/// A key of a mapping. Lists are handed over joined by commas, as labels and variables write them.
struct Key {
  std::string_view name;
  ValueSetter set;
};

class FileReader {
 public:
  /// `environment`: for variables in values.
  FileReader(std::string file, Diagnostics& errors, Environment environment)
      : file_{std::move(file)}, errors_{errors}, environment_{std::move(environment)} {}

  void error(Position at, std::string key, std::string text) {
    ++count_;
    if (errors_.size() < max_errors)
      errors_.push_back({file_, at, std::move(key), std::move(text)});
  }

  /// Calls `entry` for each key of the mapping, repeated keys excepted: those are errors. False: no
  /// mapping.
  bool each(const YamlNode& node, const std::string& prefix,
            const std::function<void(const YamlNode& key, const YamlNode& value)>& entry);

  /// A mapping of nothing but `keys`.
  void mapping(const YamlNode& node, const std::string& prefix, const std::vector<Key>& keys);

  /// Calls `item` for each item of the list. False: no list.
  bool items(const YamlNode& node, const std::string& key,
             const std::function<void(const YamlNode& item)>& item);

  /// Sets from a scalar or a list of scalars, variables replaced. An error shows the value as
  /// written: what a variable holds is nobody's business.
  void value(const YamlNode& node, const std::string& key, const ValueSetter& set,
             ValueForm form = {});

  void unknown(const YamlNode& key, const std::string& prefix,
               const std::vector<std::string_view>& known);

  /// Of all errors so far; grows with each, also with those that are too many to be told.
  std::size_t count() const { return count_; }

 private:
  static constexpr std::size_t max_errors = 100;
  /// nullopt: told.
  std::optional<std::string> scalar(const YamlNode& node, const std::string& key);
  std::optional<std::string> joined(const YamlNode& node, const std::string& key, ListStyle style);

  std::string file_;
  Diagnostics& errors_;
  Environment environment_;
  std::size_t count_ = 0;
};

/// `expected ..., got 'value'`.
std::string with_value(const std::string& expected, std::string_view value);

std::string join_key(const std::string& prefix, std::string_view name);

/// The probes of one mapping: first their URLs, then their options, whatever their order in the
/// file. Keeps pointers to the nodes it was given.
class ProbeKeys {
 public:
  /// True when the key speaks of a probe.
  bool take(const YamlNode& key, const YamlNode& value);
  /// Sets all that was taken upon `probes`, which stay ordered by name.
  void apply(FileReader& reader, const std::string& prefix, const protocol::SettingsLimits& limits,
             std::vector<core::ProbeSpec>& probes);
  bool any() const { return !urls_.empty(); }
  /// Where the option stands, else the URL of its probe (`probe.NAME`), else any of its options.
  Position place_of(const std::string& probe, std::string_view option) const;

 private:
  void set_option(FileReader& reader, const std::string& prefix, const YamlNode& key,
                  const YamlNode& value, const protocol::SettingsLimits& limits,
                  std::vector<core::ProbeSpec>& probes);

  using Entries = std::vector<std::pair<const YamlNode*, const YamlNode*>>;
  Entries urls_;
  Entries options_;
};

// What both processes, monitor and failover, read alike.

inline constexpr std::string_view failover_key = "failover";
inline constexpr std::string_view status_page_key = "status-page";
/// Of the whole file, whoever reads them.
std::vector<std::string_view> top_level_keys();
std::expected<void, protocol::Error> set_path(std::string_view text, std::string& target);
/// Only the form; whether the address can be bound shows when it is.
std::expected<void, protocol::Error> set_listen(std::string_view text, std::string& target);
std::expected<void, protocol::Error> set_hosts(std::string_view text,
                                               std::vector<std::string>& target);
/// A regular file of at most max_yaml_bytes + 1 bytes; an error is the rest of a sentence about it.
std::expected<std::string, std::string> read_file(const std::string& path);

/// `limits:`; read before anything it limits.
void read_limits(FileReader& reader, const YamlNode& node, protocol::SettingsLimits& limits);
/// `defaults:` or one of `services:`, upon what `settings` holds.
void read_service_settings(FileReader& reader, const YamlNode& node, const std::string& prefix,
                           const protocol::SettingsLimits& limits, core::ServiceSettings& settings);
/// `targets:`, each {group, name} upon nothing but defaults.
void read_targets(FileReader& reader, const YamlNode& node, const protocol::SettingsLimits& limits,
                  std::vector<core::TargetInfo>& targets);
/// `maintenance:`.
void read_maintenance(FileReader& reader, const YamlNode& node,
                      std::vector<MaintenanceRule>& rules);
/// Services such as `shop/*,db`; see core/window.hpp.
std::expected<void, protocol::Error> set_patterns(std::string_view text,
                                                  std::vector<std::string>& target);
/// `status-page:`.
void read_status_page(FileReader& reader, const YamlNode& node, web::StatusPageSettings& settings);
/// `services:`.
void read_services(FileReader& reader, const YamlNode& node, protocol::LabelDefaults& labels);

}  // namespace sentinel::app
