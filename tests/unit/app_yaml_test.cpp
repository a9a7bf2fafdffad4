#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

#include "app/yaml_tree.hpp"

using namespace sentinel::app;

TEST_CASE("nodes know where they stood") {
  const auto root = parse_yaml("a: 1\nb:\n  - x\n  - 'y z'\nc:\n");
  REQUIRE(root);
  REQUIRE(root->kind == YamlNode::Kind::mapping);
  REQUIRE(root->entries.size() == 3);
  CHECK(root->entries[0].key.scalar == "a");
  CHECK(root->entries[0].value.at.line == 1);
  CHECK(root->entries[0].value.at.column == 4);
  const YamlNode& list = root->entries[1].value;
  REQUIRE(list.items.size() == 2);
  CHECK(list.items[1].scalar == "y z");
  CHECK(list.items[1].at.line == 4);
  CHECK(list.items[1].at.column == 5);
  CHECK(root->entries[2].value.kind == YamlNode::Kind::null);
}

TEST_CASE("an empty file is an empty mapping") {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n"}) {
    const auto root = parse_yaml(text);
    REQUIRE(root);
    CHECK(root->kind == YamlNode::Kind::mapping);
    CHECK(root->entries.empty());
  }
}

TEST_CASE("repeated keys are kept for the reader to complain about") {
  const auto root = parse_yaml("a: 1\na: 2\n");
  REQUIRE(root);
  CHECK(root->entries.size() == 2);
}

TEST_CASE("what could harm is refused with its place") {
  struct Case {
    std::string text;
    std::size_t line;
    std::string says;
  };
  std::string deep;
  for (int i = 0; i < 20; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  std::string many = "list:\n";
  for (int i = 0; i < 500'100; ++i) many += "- 1\n";
  const auto [text, line, says] = GENERATE_COPY(
      Case{"a: &x 1\nb: *x\n", 1, "anchors"}, Case{"a: 1\nb: *x\n", 2, ""},
      Case{"a: !!int 1\n", 1, "tags"}, Case{"a: !evil {b: c}\n", 1, "tags"},
      Case{deep, 17, "16 levels"}, Case{many, 499'999, "500000"},
      Case{"a: 1\n--- \nb: 2\n", 3, "single document"}, Case{"a: \x01\n", 1, "control"},
      Case{"ok: 1\nb: [1, 2\nc: 3\n", 0, ""}, Case{"? [a, b]\n: c\n", 1, "word as key"},
      Case{std::string((std::size_t{8} << 20U) + 1, ' '), 0, "8 MiB"},
      Case{std::string(100'000, '['), 1, "16 levels"}, Case{std::string(100'000, '{'), 1, ""});
  const auto root = parse_yaml(text);
  INFO(text.substr(0, 60));
  REQUIRE_FALSE(root);
  INFO(root.error().text);
  CHECK(root.error().text.find(says) != std::string::npos);
  if (line != 0) CHECK(root.error().at.line == line);
}
