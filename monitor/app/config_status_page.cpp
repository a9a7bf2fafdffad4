// The part of the file that says what the public status page shows.

#include <algorithm>
#include <string>
#include <utility>

#include "app/config_reader.hpp"
#include "protocol/escape.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::app {

namespace {

using protocol::Error;
using protocol::text::expected_form;
using web::StatusLine;
using web::StatusPageSettings;

constexpr std::size_t max_name = 128;

ValueSetter name_into(std::string& target) {
  return [&target](std::string_view v) -> std::expected<void, Error> {
    target = v.size() > max_name ? std::string{} : protocol::one_line(v);
    if (target.empty())
      return expected_form("a text of at most " + std::to_string(max_name) + " bytes");
    return {};
  };
}

/// `web` of shop/web and of shop/web/1; empty: several services are meant.
std::string own_name(const std::vector<std::string>& patterns) {
  if (patterns.size() != 1 || patterns.front().contains('*')) return {};
  const auto parts = protocol::text::split(patterns.front(), '/', 3);
  return std::string{parts.size() == 1 ? parts[0] : parts[1]};
}

void read_line(FileReader& reader, const YamlNode& node, const std::string& prefix,
               StatusLine& line) {
  const auto services = [&line](std::string_view v) { return set_patterns(v, line.services); };
  if (node.kind == YamlNode::Kind::mapping) {
    reader.mapping(node, prefix, {{"service", services}, {"name", name_into(line.name)}});
  } else {
    reader.value(node, prefix, services, {.list = ListStyle::none});
  }
}

/// Of a line without errors.
void complete_line(FileReader& reader, const YamlNode& node, const std::string& prefix,
                   const std::vector<StatusLine>& earlier, StatusLine& line) {
  if (line.services.empty()) {
    reader.error(node.at, join_key(prefix, "service"), "expected this key: what is shown");
    return;
  }
  const bool given = !line.name.empty();
  if (!given) line.name = own_name(line.services);
  if (line.name.empty()) {
    reader.error(node.at, join_key(prefix, "name"),
                 "expected this key: what is shown stands for several services");
  } else if (std::ranges::contains(earlier, line.name, &StatusLine::name)) {
    reader.error(node.at, join_key(prefix, "name"),
                 with_value("expected a name that no other has" +
                                std::string{given ? "" : ": give it one of its own"},
                            line.name));
  }
}

}  // namespace

void read_status_page(FileReader& reader, const YamlNode& node, StatusPageSettings& settings) {
  const std::string prefix{status_page_key};
  const std::string services_key = join_key(prefix, "services");
  bool listed = false;
  const auto read_lines = [&](const YamlNode& list) {
    listed = true;
    if (list.items.size() > StatusPageSettings::max_lines) {
      reader.error(list.at, services_key,
                   "expected at most " + std::to_string(StatusPageSettings::max_lines) +
                       " services, got " + std::to_string(list.items.size()));
      return;
    }
    std::vector<StatusLine> lines;
    std::size_t number = 0;
    const bool good = reader.items(list, services_key, [&](const YamlNode& item) {
      const std::string own = services_key + "[" + std::to_string(number++) + "]";
      const std::size_t errors = reader.count();
      StatusLine line;
      read_line(reader, item, own, line);
      if (reader.count() == errors) complete_line(reader, item, own, lines, line);
      lines.push_back(std::move(line));
    });
    if (good && lines.empty()) reader.error(list.at, services_key, "expected at least one service");
    settings.lines = std::move(lines);
  };
  const bool mapping = reader.each(node, prefix, [&](const YamlNode& key, const YamlNode& value) {
    if (key.scalar == "title") {
      reader.value(value, join_key(prefix, "title"), name_into(settings.title),
                   {.list = ListStyle::none});
    } else if (key.scalar == "services") {
      read_lines(value);
    } else {
      reader.unknown(key, prefix, {"title", "services"});
    }
  });
  if (mapping && !listed)
    reader.error(node.at, services_key, "expected this key: the services that are shown");
}

}  // namespace sentinel::app
