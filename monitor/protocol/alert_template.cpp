#include "protocol/alert_template.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>
#include <optional>
#include <utility>

#include "protocol/alert_document.hpp"
#include "protocol/alert_escape.hpp"
#include "protocol/escape.hpp"
#include "protocol/json.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {

using Json = nlohmann::json;

namespace {

constexpr std::size_t max_depth = 24;
constexpr std::string_view open = "{{";
constexpr std::string_view close = "}}";
constexpr std::array<std::string_view, 17> first_parts{
    "kind", "status", "severity", "key",     "receiver", "host",   "subject",   "text", "note",
    "made", "group",  "link",     "runbook", "more",     "params", "incidents", "item"};

using Problem = std::unexpected<Error>;
Problem problem(std::string text) { return Problem(Error{std::move(text)}); }

struct Filter {
  enum class Kind : std::uint8_t { limit, upper, words, escape } kind = Kind::upper;
  std::size_t bytes = 0;
  Markup markup = Markup::chat;
};

struct Placeholder {
  std::vector<std::string> path;
  std::vector<Filter> filters;
};

std::optional<Markup> markup_of(std::string_view word) {
  if (word == "chat") return Markup::chat;
  if (word == "markdown") return Markup::markdown;
  if (word == "code") return Markup::code;
  if (word == "html") return Markup::html;
  if (word == "url") return Markup::url;
  if (word == "plain") return Markup::plain;
  return std::nullopt;
}

std::expected<Filter, Error> parse_filter(std::string_view word) {
  Filter filter;
  if (word == "upper") return filter;
  filter.kind = Filter::Kind::words;
  if (word == "words") return filter;
  if (const auto markup = markup_of(word)) {
    filter.kind = Filter::Kind::escape;
    filter.markup = *markup;
    return filter;
  }
  if (word.starts_with("limit ")) {
    const auto digits = text::trim(word.substr(6));
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), filter.bytes);
    if (error == std::errc{} && end == digits.data() + digits.size() &&
        filter.bytes <= max_alert_body) {
      filter.kind = Filter::Kind::limit;
      return filter;
    }
  }
  return problem("unknown filter '" + one_line(word, 40) +
                 "'; expected limit N, upper, words, chat, markdown, code, html, url or plain");
}

std::expected<std::vector<std::string>, Error> parse_path(std::string_view text) {
  std::vector<std::string> path;
  for (const auto part : text::split(text, '.', 9)) path.emplace_back(part);
  const bool known = std::ranges::find(first_parts, path.front()) != first_parts.end();
  if (!known || path.size() > 8) {
    std::string names;
    for (const auto name : first_parts) (names += names.empty() ? "" : ", ") += name;
    return problem("unknown value '" + one_line(text, 40) + "'; expected one of " + names);
  }
  return path;
}

std::expected<Placeholder, Error> parse_placeholder(std::string_view text) {
  const auto parts = text::split(text, '|', 8);
  auto path = parse_path(parts.front());
  if (!path) return Problem(path.error());
  Placeholder result{.path = std::move(*path), .filters = {}};
  bool escaped = false;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto filter = parse_filter(parts[i]);
    if (!filter) return Problem(filter.error());
    if (filter->kind == Filter::Kind::escape && std::exchange(escaped, true))
      return problem("'" + one_line(text, 80) + "' is escaped twice");
    result.filters.push_back(*filter);
  }
  return result;
}

/// Calls `literal` and `value` for the parts of a string, in order.
template <class Literal, class Value>
std::expected<void, Error> each_part(std::string_view text, Literal literal, Value value) {
  while (true) {
    const auto begin = text.find(open);
    literal(text.substr(0, begin));
    if (begin == std::string_view::npos) return {};
    text.remove_prefix(begin + open.size());
    const auto end = text.find(close);
    if (end == std::string_view::npos) return problem("a {{ without its }}");
    const auto placeholder = parse_placeholder(text.substr(0, end));
    if (!placeholder) return Problem(placeholder.error());
    value(*placeholder);
    text.remove_prefix(end + close.size());
  }
}

/// Which directive an object is; empty: none.
std::string_view directive(const Json& node) {
  for (const auto* name : {"$each", "$if", "$switch"})
    if (node.contains(name)) return name;
  return {};
}

bool allowed_key(std::string_view of, std::string_view key) {
  if (of == "$each") return key == "$each" || key == "$do";
  if (of == "$if") return key == "$if" || key == "$then" || key == "$else";
  if (of == "$switch") return key == "$switch" || !key.starts_with('$');
  return !key.starts_with('$');
}

std::expected<void, Error> check(const Json& node, bool in_list) {
  if (node.is_string())
    return each_part(
        node.get_ref<const std::string&>(), [](std::string_view) {}, [](const Placeholder&) {});
  if (node.is_array()) {
    for (const auto& one : node)
      if (auto good = check(one, true); !good) return good;
    return {};
  }
  if (!node.is_object()) return {};
  const auto what = directive(node);
  for (const auto& [key, value] : node.items()) {
    if (!allowed_key(what, key)) return problem("unexpected '" + one_line(key, 40) + "'");
    if (key == what) {
      if (!value.is_string()) return problem(std::string{what} + " expects the name of a value");
      const auto path = parse_path(value.get_ref<const std::string&>());
      if (!path) return Problem(path.error());
    } else if (auto good = check(value, false); !good) {
      return good;
    }
  }
  if (what == "$each" && (!in_list || !node.contains("$do")))
    return problem("$each stands in a list, with $do beside it");
  if (what == "$if" && !node.contains("$then")) return problem("$if needs $then beside it");
  return {};
}

class Renderer {
 public:
  Renderer(const Json& document, Markup markup) : document_(document), markup_(markup) {}

  bool too_large() const { return spent_ > max_alert_body; }

  /// nullopt: nothing is to stand there.
  std::optional<Json> expand(const Json& node, const Json& item) {
    spend(8);
    if (too_large()) return std::nullopt;
    if (node.is_string()) return expand_text(node.get_ref<const std::string&>(), item);
    if (node.is_array()) return expand_list(node, item);
    if (!node.is_object()) return node;
    const auto what = directive(node);
    if (what == "$if") {
      const bool there = truth(find(path_in(node, what), item));
      const auto branch = node.find(there ? "$then" : "$else");
      return branch == node.end() ? std::nullopt : expand(*branch, item);
    }
    if (what == "$switch") {
      const auto& value = find(path_in(node, what), item);
      auto branch = value.is_string() ? node.find(value.get_ref<const std::string&>()) : node.end();
      if (branch == node.end() || branch.key() == "$switch") branch = node.find("*");
      return branch == node.end() ? std::nullopt : expand(*branch, item);
    }
    Json object = Json::object();
    for (const auto& [key, value] : node.items()) {
      spend(key.size());
      if (auto content = expand(value, item)) object[key] = std::move(*content);
    }
    return object;
  }

 private:
  void spend(std::size_t bytes) { spent_ += bytes; }

  static std::vector<std::string> path_in(const Json& node, std::string_view what) {
    return parse_path(node.at(std::string{what}).get_ref<const std::string&>()).value();
  }

  const Json& find(const std::vector<std::string>& path, const Json& item) const {
    static const Json nothing;
    const Json* at = path.front() == "item" ? &item : &document_;
    for (std::size_t i = path.front() == "item" ? 1 : 0; i < path.size(); ++i) {
      if (at->is_array()) {
        std::size_t index = 0;
        const auto& part = path[i];
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
        if (error != std::errc{} || end != part.data() + part.size() || index >= at->size())
          return nothing;
        at = &(*at)[index];
        continue;
      }
      if (!at->is_object()) return nothing;
      const auto found = at->find(path[i]);
      if (found == at->end()) return nothing;
      at = &*found;
    }
    return *at;
  }

  static bool truth(const Json& value) {
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_number()) return value != 0;
    return !value.empty() && !(value.is_string() && value.get_ref<const std::string&>().empty());
  }

  static std::string as_text(const Json& value) {
    if (value.is_string()) return value.get_ref<const std::string&>();
    return value.is_null() ? std::string{} : dump(value);
  }

  std::string filtered(const Json& value, const Placeholder& placeholder) const {
    std::string result = as_text(value);
    bool escaped = false;
    for (const auto& filter : placeholder.filters) {
      switch (filter.kind) {
        case Filter::Kind::limit: result = cut(result, filter.bytes); break;
        case Filter::Kind::upper:
          for (char& c : result)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
          break;
        case Filter::Kind::words:
          if (!value.is_array()) break;
          result.clear();
          for (const auto& one : value) (result += result.empty() ? "" : ", ") += as_text(one);
          break;
        case Filter::Kind::escape:
          result = escape_markup(result, filter.markup);
          escaped = true;
          break;
      }
    }
    return escaped ? result : escape_markup(result, markup_);
  }

  Json expand_text(const std::string& text, const Json& item) {
    std::string result;
    std::size_t literals = 0;
    std::size_t values = 0;
    const Json* only = nullptr;
    // Checked when the template was read, so that it is good.
    const auto good = each_part(
        text,
        [&](std::string_view literal) {
          literals += literal.size();
          result += literal;
        },
        [&](const Placeholder& placeholder) {
          const Json& value = find(placeholder.path, item);
          only =
              ++values == 1 && !value.is_string() && placeholder.filters.empty() ? &value : nullptr;
          result += filtered(value, placeholder);
        });
    spend(result.size());
    if (!good) return {};
    return only != nullptr && literals == 0 ? *only : Json(std::move(result));
  }

  Json expand_list(const Json& node, const Json& item) {
    Json list = Json::array();
    for (const auto& one : node) {
      if (!one.is_object() || directive(one) != "$each") {
        if (auto content = expand(one, item)) list.push_back(std::move(*content));
        continue;
      }
      const auto& values = find(path_in(one, "$each"), item);
      if (!values.is_array()) continue;
      for (const auto& value : values)
        if (auto content = expand(one.at("$do"), value)) list.push_back(std::move(*content));
    }
    return list;
  }

  const Json& document_;
  const Markup markup_;
  std::size_t spent_ = 0;
};

}  // namespace

struct AlertTemplate::Content {
  Json body;
  Json params = Json::object();
  Markup markup = Markup::chat;
};

AlertTemplate::AlertTemplate(std::unique_ptr<Content> content) : content_(std::move(content)) {}
AlertTemplate::~AlertTemplate() = default;

std::expected<std::shared_ptr<const AlertTemplate>, Error> AlertTemplate::parse(
    std::string_view text, std::vector<std::pair<std::string, std::string>> parameters) {
  // Nesting and size are looked at by our own reader, which the library has not.
  const auto good = json::parse(
      text, {.max_bytes = max_template_bytes, .max_depth = max_depth, .max_values = 10'000});
  if (!good) return problem("no template: " + good.error().message);
  auto content = std::make_unique<Content>();
  content->body = Json::parse(text, nullptr, false);
  if (!content->body.is_object()) return problem("expected a JSON object as template");
  if (const auto escape = content->body.find("$escape"); escape != content->body.end()) {
    const auto markup =
        escape->is_string() ? markup_of(escape->get_ref<const std::string&>()) : std::nullopt;
    if (!markup) return problem("$escape: expected chat, markdown, code, html, url or plain");
    content->markup = *markup;
    content->body.erase(escape);
  }
  if (auto checked = check(content->body, false); !checked) return Problem(checked.error());
  for (auto& [name, value] : parameters) content->params[name] = std::move(value);
  return std::shared_ptr<const AlertTemplate>(new AlertTemplate(std::move(content)));
}

std::expected<AlertRequest, Error> AlertTemplate::render(const core::Delivery& delivery) const {
  AlertText text = alert_text(delivery.message);
  do {
    Json document = alert_document(delivery, text);
    document["params"] = content_->params;
    Renderer renderer(document, content_->markup);
    const auto content = renderer.expand(content_->body, document);
    auto body = content ? dump(*content) : std::string{};
    if (!renderer.too_large() && body.size() <= max_alert_body)
      return AlertRequest{.path = {},
                          .headers = {{"Content-Type", "application/json"},
                                      {"Idempotency-Key", header_value(delivery.key)}},
                          .body = std::move(body)};
  } while (shorten(text));
  return problem("the template makes more than 512 KiB of this message");
}

}  // namespace sentinel::protocol
