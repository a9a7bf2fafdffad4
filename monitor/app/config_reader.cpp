#include "app/config_reader.hpp"

#include <algorithm>
#include <map>

#include "app/suggest.hpp"
#include "protocol/escape.hpp"
#include "protocol/json.hpp"

namespace sentinel::app {

std::string with_value(const std::string& expected, std::string_view value) {
  constexpr std::size_t shown_value_bytes = 80;
  return expected + ", got '" + protocol::one_line(value, shown_value_bytes) + "'";
}

std::string join_key(const std::string& prefix, std::string_view name) {
  return prefix.empty() ? std::string{name} : prefix + "." + std::string{name};
}

bool FileReader::each(const YamlNode& node, const std::string& prefix,
                      const std::function<void(const YamlNode&, const YamlNode&)>& entry) {
  if (node.kind == YamlNode::Kind::null) return true;
  if (node.kind != YamlNode::Kind::mapping) {
    error(node.at, prefix, "expected a mapping of keys to values");
    return false;
  }
  std::map<std::string_view, Position> seen;
  for (const auto& [key, value] : node.entries) {
    const auto [first, fresh] = seen.emplace(key.scalar, key.at);
    if (!fresh) {
      error(key.at, join_key(prefix, key.scalar),
            "expected each key once; it is already in line " + std::to_string(first->second.line));
      continue;
    }
    entry(key, value);
  }
  return true;
}

void FileReader::mapping(const YamlNode& node, const std::string& prefix,
                         const std::vector<Key>& keys) {
  each(node, prefix, [&](const YamlNode& key, const YamlNode& content) {
    const auto known = std::ranges::find(keys, std::string_view{key.scalar}, &Key::name);
    if (known != keys.end()) {
      value(content, join_key(prefix, key.scalar), known->set);
      return;
    }
    std::vector<std::string_view> names;
    names.reserve(keys.size());
    for (const Key& candidate : keys) names.push_back(candidate.name);
    unknown(key, prefix, names);
  });
}

bool FileReader::items(const YamlNode& node, const std::string& key,
                       const std::function<void(const YamlNode&)>& item) {
  if (node.kind == YamlNode::Kind::null) return true;
  if (node.kind != YamlNode::Kind::sequence) {
    error(node.at, key, "expected a list");
    return false;
  }
  for (const YamlNode& one : node.items) item(one);
  return true;
}

std::optional<std::string> FileReader::scalar(const YamlNode& node, const std::string& key) {
  auto text = interpolate(node.scalar, environment_);
  if (text) return std::move(*text);
  error(node.at, key, text.error().message);
  return std::nullopt;
}

std::optional<std::string> FileReader::joined(const YamlNode& node, const std::string& key,
                                              ListStyle style) {
  // What separates the values would make two of one.
  const char separator = style == ListStyle::comma ? ',' : '\n';
  std::string text;
  const auto add = [&](const YamlNode& at, const std::optional<std::string>& one) {
    if (!one) return false;
    if (style != ListStyle::words && one->find(separator) != std::string::npos) {
      error(at.at, key, "expected a list of plain words");
      return false;
    }
    if (!text.empty()) text += style == ListStyle::words ? ',' : separator;
    text += style == ListStyle::words ? protocol::json::quote(*one) : *one;
    return true;
  };
  for (const YamlNode& item : node.items) {
    if (item.kind != YamlNode::Kind::scalar) {
      error(item.at, key, "expected a list of plain words");
      return std::nullopt;
    }
    if (!add(item, scalar(item, key))) return std::nullopt;
  }
  for (const auto& [name, content] : node.entries) {
    if (content.kind != YamlNode::Kind::scalar) {
      error(content.at, key, "expected a single value");
      return std::nullopt;
    }
    auto one = scalar(content, key);
    if (one) one = name.scalar + ": " + *one;
    if (!add(content, one)) return std::nullopt;
  }
  return style == ListStyle::words ? "[" + text + "]" : text;
}

void FileReader::value(const YamlNode& node, const std::string& key, const ValueSetter& set,
                       ValueForm form) {
  std::optional<std::string> text;
  if (node.kind == YamlNode::Kind::scalar) {
    text = scalar(node, key);
  } else if (node.kind == YamlNode::Kind::null) {
    error(node.at, key, "expected a value");
  } else if (node.kind == YamlNode::Kind::sequence && form.list == ListStyle::none) {
    error(node.at, key, "expected a single value, not a list");
  } else if (node.kind == YamlNode::Kind::mapping && form.list != ListStyle::lines) {
    error(node.at, key, "expected a single value, not a mapping");
  } else {
    text = joined(node, key, form.list);
  }
  if (!text) return;
  const auto result = set(*text);
  if (result) return;
  if (form.secret) {
    error(node.at, key, result.error().message);
  } else {
    error(node.at, key,
          with_value(result.error().message,
                     node.kind == YamlNode::Kind::scalar ? node.scalar : *text));
  }
}

void FileReader::unknown(const YamlNode& key, const std::string& prefix,
                         const std::vector<std::string_view>& known) {
  std::string text = "unknown key";
  if (const std::string_view best = closest(key.scalar, known); !best.empty()) {
    text += "; did you mean '" + std::string{best} + "'?";
  } else {
    text += "; expected one of ";
    for (std::size_t i = 0; i < known.size(); ++i) {
      if (i > 0) text += ", ";
      text += known[i];
    }
  }
  error(key.at, join_key(prefix, key.scalar), std::move(text));
}

}  // namespace sentinel::app
