#include "app/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <spanstream>

namespace sentinel::app {

namespace {

Position position(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {static_cast<std::size_t>(mark.line) + 1, static_cast<std::size_t>(mark.column) + 1};
}

/// Builds the tree; what it refuses ends the parse by yaml-cpp's own exception, caught in
/// parse_yaml().
class Builder final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    put(mark, YamlNode::Kind::null, {});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw YAML::ParserException(mark, "expected a value: aliases (*name) are not allowed here");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    put(mark, YamlNode::Kind::scalar, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    open(mark, YamlNode::Kind::sequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    open(mark, YamlNode::Kind::mapping);
  }
  void OnMapEnd() override { close(); }

  std::optional<YamlNode> root;

 private:
  struct Level {
    YamlNode node;
    std::optional<YamlNode> key;  // of a mapping: its value comes next
  };

  static void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      throw YAML::ParserException(mark, "expected a value: anchors (&name) are not allowed here");
    }
  }
  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw YAML::ParserException(mark,
                                  "expected a plain value: tags (!name) are not allowed here");
    }
  }
  void count(const YAML::Mark& mark) {
    if (++nodes_ > max_yaml_nodes)
      throw YAML::ParserException(mark, "expected at most 500000 values");
  }
  void put(const YAML::Mark& mark, YamlNode::Kind kind, const std::string& value) {
    count(mark);
    YamlNode node;
    node.kind = kind;
    node.at = position(mark);
    node.scalar = value;
    attach(std::move(node));
  }
  void open(const YAML::Mark& mark, YamlNode::Kind kind) {
    count(mark);
    if (levels_.size() >= max_yaml_depth)
      throw YAML::ParserException(mark, "expected at most 16 levels of nesting");
    Level& level = levels_.emplace_back();
    level.node.kind = kind;
    level.node.at = position(mark);
  }
  void close() {
    YamlNode node = std::move(levels_.back().node);
    levels_.pop_back();
    attach(std::move(node));
  }
  void attach(YamlNode node) {
    if (levels_.empty()) {
      root = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.kind == YamlNode::Kind::sequence) {
      level.node.items.push_back(std::move(node));
    } else if (level.key) {
      // A value that is not there stands where its key does, not where the next line begins.
      if (node.kind == YamlNode::Kind::null) node.at = level.key->at;
      level.node.entries.emplace_back(std::move(*level.key), std::move(node));
      level.key.reset();
    } else {
      if (node.kind != YamlNode::Kind::scalar) {
        YAML::Mark mark;
        mark.line = static_cast<int>(node.at.line) - 1;
        mark.column = static_cast<int>(node.at.column) - 1;
        throw YAML::ParserException(mark, "expected a word as key");
      }
      level.key = std::move(node);
    }
  }

  std::vector<Level> levels_;
  std::size_t nodes_ = 0;
};

std::optional<YamlError> refuse_bytes(std::string_view text) {
  if (text.size() > max_yaml_bytes) return YamlError{{}, "expected a file of at most 8 MiB"};
  Position at{1, 1};
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7F) {
      return YamlError{at, "expected text: control characters are not allowed"};
    }
    if (c == '\n') {
      ++at.line;
      at.column = 1;
    } else {
      ++at.column;
    }
  }
  return std::nullopt;
}

}  // namespace

std::expected<YamlNode, YamlError> parse_yaml(std::string_view text) {
  if (auto error = refuse_bytes(text)) return std::unexpected(std::move(*error));
  std::ispanstream stream{std::span<const char>{text.data(), text.size()}};
  Builder builder;
  try {
    YAML::Parser parser{stream};
    if (!parser.HandleNextDocument(builder) || !builder.root) {
      YamlNode empty;
      empty.kind = YamlNode::Kind::mapping;
      return empty;
    }
    YamlNode root = std::move(*builder.root);
    builder.root.reset();
    if (parser.HandleNextDocument(builder)) {
      return std::unexpected(
          YamlError{builder.root ? builder.root->at : Position{}, "expected a single document"});
    }
    if (root.kind == YamlNode::Kind::null) root.kind = YamlNode::Kind::mapping;
    return root;
  } catch (const YAML::Exception& e) {
    return std::unexpected(YamlError{position(e.mark), e.msg});
  }
}

}  // namespace sentinel::app
