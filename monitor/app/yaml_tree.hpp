#pragma once

// A YAML file as a bounded tree in which every node knows where it stood.
//
// One document of mappings, sequences and scalars. Refused: anchors and aliases (a few lines of
// them expand to gigabytes), tags, a second document, nesting beyond 16, more than 500,000
// nodes, files above 8 MiB, control characters.

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace sentinel::app {

struct Position {
  std::size_t line = 0;  // from 1; 0: nowhere in particular
  std::size_t column = 0;
};

struct YamlEntry;

struct YamlNode {
  enum class Kind { null, scalar, sequence, mapping } kind = Kind::null;
  Position at;
  std::string scalar;
  std::vector<YamlNode> items;     // of a sequence
  std::vector<YamlEntry> entries;  // of a mapping, in order; keys are scalars, perhaps repeated
};

struct YamlEntry {
  YamlNode key;
  YamlNode value;
};

struct YamlError {
  Position at;
  std::string text;
};

inline constexpr std::size_t max_yaml_bytes = std::size_t{8} << 20U;
inline constexpr std::size_t max_yaml_depth = 16;
inline constexpr std::size_t max_yaml_nodes = 500'000;  // 10,000 targets with several probes each

/// An empty file is an empty mapping.
std::expected<YamlNode, YamlError> parse_yaml(std::string_view text);

}  // namespace sentinel::app
