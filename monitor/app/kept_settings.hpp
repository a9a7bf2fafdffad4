#pragma once

// What a reload cannot change.

#include <string>
#include <utility>

namespace sentinel::app {

/// Takes the running value of each named field over into the fresh settings, and collects the keys
/// of those that differed.
template <typename Settings>
class KeptSettings {
 public:
  KeptSettings(Settings& fresh, const Settings& running) : fresh_(fresh), running_(running) {}

  template <typename Field>
  void keep(Field Settings::* field, const char* key) {
    if (fresh_.*field == running_.*field) return;
    fresh_.*field = running_.*field;
    keys_ += (keys_.empty() ? "" : ", ") + std::string{key};
  }

  /// "listen, data-dir"; empty when none differed.
  std::string keys() && { return std::move(keys_); }

 private:
  Settings& fresh_;
  const Settings& running_;
  std::string keys_;
};

}  // namespace sentinel::app
