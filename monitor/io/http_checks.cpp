#include "io/http_checks.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <format>
#include <utility>

#include "io/http_server_parse.hpp"
#include "protocol/escape.hpp"
#include "protocol/json.hpp"

namespace sentinel::io {

namespace json = protocol::json;
using core::JsonCheck;
using core::ProbeReason;
using core::Verdict;

namespace {

constexpr json::Limits json_limits{
    .max_bytes = std::size_t{1} << 20U, .max_depth = 64, .max_values = 20'000};
constexpr std::size_t output_limit = 200;  // bytes of a document's own explanation in a sentence
constexpr std::size_t shown_limit = 80;    // of a value or an expectation

std::string shown(std::string_view text) { return protocol::one_line(text, shown_limit); }

bool media_type_is(std::string_view content_type, std::string_view wanted) {
  auto type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  return same_word(type, wanted);
}

/// The words of draft-inadarei-api-health-check-06, section 3.1, with the aliases it gives.
std::optional<Verdict> verdict_of(std::string_view word) {
  const auto is = [word](std::string_view other) { return same_word(word, other); };
  if (is("pass") || is("ok") || is("up")) return Verdict::pass;
  if (is("warn")) return Verdict::warn;
  if (is("fail") || is("error") || is("down")) return Verdict::fail;
  return std::nullopt;
}

ProbeVerdict wrong_body(std::string sentence) {
  return {Verdict::fail, ProbeReason::body, std::move(sentence)};
}

/// The value an RFC 6901 pointer leads to.
const json::Value* find(const json::Value& document, std::string_view pointer) {
  const auto* at = &document;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);  // the slash
    const auto end = std::min(pointer.find('/'), pointer.size());
    std::string token;
    for (std::size_t i = 0; i < end; ++i) {
      const bool escaped = pointer[i] == '~' && i + 1 < end;
      if (escaped) ++i;
      token += escaped ? (pointer[i] == '0' ? '~' : '/') : pointer[i];
    }
    pointer.remove_prefix(end);
    const json::Value* next = nullptr;
    if (at->is_object()) {
      const auto& object = at->object();
      const auto member = std::ranges::find(object, token, &json::Member::first);
      if (member != object.end()) next = &member->second;
    } else if (at->is_array()) {
      std::size_t index = 0;
      const auto [stop, error] = std::from_chars(token.data(), token.data() + token.size(), index);
      const bool plain = error == std::errc{} && stop == token.data() + token.size() &&
                         (token.size() == 1 || token.front() != '0');
      if (plain && index < at->array().size()) next = &at->array()[index];
    }
    if (next == nullptr) return nullptr;
    at = next;
  }
  return at;
}

bool equal(const json::Value& a, const json::Value& b) {
  if (a.is_object() || b.is_object()) {
    return a.is_object() && b.is_object() && a.object().size() == b.object().size() &&
           std::ranges::all_of(a.object(), [&b](const json::Member& member) {
             const auto& other = b.object();
             const auto found = std::ranges::find(other, member.first, &json::Member::first);
             return found != other.end() && equal(member.second, found->second);
           });
  }
  if (a.is_array() || b.is_array()) {
    return a.is_array() && b.is_array() && std::ranges::equal(a.array(), b.array(), equal);
  }
  if (a.is_string() || b.is_string()) return a.is_string() && b.is_string() && a.text() == b.text();
  if (a.is_null() || b.is_null()) return a.is_null() && b.is_null();
  if (a.boolean() || b.boolean()) return a.boolean() == b.boolean();
  if (a.integer() && b.integer()) return *a.integer() == *b.integer();
  return a.number() == b.number();
}

std::string in_words(const json::Value& value) {
  if (value.is_string()) return shown(json::quote(value.text()));
  if (value.is_null()) return "null";
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  if (const auto boolean = value.boolean()) return *boolean ? "true" : "false";
  if (const auto integer = value.integer()) return std::to_string(*integer);
  return std::format("{}", value.number().value_or(0));
}

std::string_view sign(JsonCheck::Op op) {
  switch (op) {
    case JsonCheck::Op::equal: return "";
    case JsonCheck::Op::not_equal: return "not ";
    case JsonCheck::Op::less: return "less than ";
    case JsonCheck::Op::at_most: return "at most ";
    case JsonCheck::Op::greater: return "more than ";
    case JsonCheck::Op::at_least: return "at least ";
    case JsonCheck::Op::exists: return "";
  }
  return "";
}

bool holds(JsonCheck::Op op, const json::Value& found, const json::Value& wanted) {
  if (op == JsonCheck::Op::equal) return equal(found, wanted);
  if (op == JsonCheck::Op::not_equal) return !equal(found, wanted);
  const auto a = found.number();
  const auto b = wanted.number();
  if (!a || !b) return false;
  switch (op) {
    case JsonCheck::Op::less: return *a < *b;
    case JsonCheck::Op::at_most: return *a <= *b;
    case JsonCheck::Op::greater: return *a > *b;
    case JsonCheck::Op::at_least: return *a >= *b;
    default: return false;
  }
}

std::optional<ProbeVerdict> judge_json(const std::vector<JsonCheck>& checks,
                                       std::string_view body) {
  const auto document = json::parse(body, json_limits);
  if (!document) return wrong_body("expected JSON, got something else");
  for (const auto& check : checks) {
    if (!check.pointer.empty() && check.pointer.front() != '/')
      return ProbeVerdict{Verdict::fail, ProbeReason::internal, "a JSON pointer is not valid"};
    const auto name = check.pointer.empty() ? std::string{"the document"} : shown(check.pointer);
    const auto* found = find(*document, check.pointer);
    if (found == nullptr) return wrong_body(name + " is missing");
    if (check.op == JsonCheck::Op::exists) continue;
    const auto wanted = json::parse(check.value, json_limits);
    if (!wanted)
      return ProbeVerdict{Verdict::fail, ProbeReason::internal, "a value to compare is no JSON"};
    if (!holds(check.op, *found, *wanted)) {
      return wrong_body(std::format("{}: expected {}{}, got {}", name, sign(check.op),
                                    shown(check.value), in_words(*found)));
    }
  }
  return std::nullopt;
}

/// The verdict of a health document, when the body is one.
std::optional<ProbeVerdict> judge_health(std::string_view body, unsigned status) {
  const auto parsed = json::parse(body, json_limits, {"status", "output"});
  if (!parsed) return std::nullopt;
  const auto verdict = verdict_of((*parsed)["status"].text());
  if (!verdict || *verdict == Verdict::pass) return std::nullopt;
  const auto output = protocol::one_line((*parsed)["output"].text(), output_limit);
  auto sentence = *verdict == Verdict::warn ? std::string{"reports warn"}
                                            : std::format("reports fail with status {}", status);
  if (!output.empty()) sentence += ": " + output;
  return ProbeVerdict{*verdict, ProbeReason::health, std::move(sentence)};
}

}  // namespace

Regexes::Regexes() = default;
Regexes::~Regexes() = default;

std::shared_ptr<const re2::RE2> Regexes::get(const std::string& text) {
  if (const auto known = known_.find(text); known != known_.end()) return known->second;
  if (known_.size() >= limit) known_.clear();
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(memory);
  auto compiled = std::make_shared<const RE2>(text, options);
  if (!compiled->ok()) compiled = nullptr;
  known_.emplace(text, compiled);
  return compiled;
}

bool wants_body(const core::HttpOptions& options) {
  return !options.body_contains.empty() || !options.body_regex.empty() || !options.json.empty();
}

bool status_expected(const core::HttpOptions& options, unsigned status) {
  if (options.status.empty()) return status >= 200 && status <= 299;
  return std::ranges::any_of(options.status, [status](const core::StatusRange& range) {
    return status >= range.from && status <= range.to;
  });
}

std::string expected_status(const core::HttpOptions& options) {
  if (options.status.empty()) return "2xx";
  std::string text;
  for (const auto& range : options.status) {
    if (!text.empty()) text += ", ";
    if (range.from % 100 == 0 && range.to == range.from + 99) {
      text += std::format("{}xx", range.from / 100);
    } else if (range.from == range.to) {
      text += std::to_string(range.from);
    } else {
      text += std::format("{}-{}", range.from, range.to);
    }
  }
  return shown(text);
}

std::optional<ProbeVerdict> judge_body(const core::HttpOptions& options, Regexes& regexes,
                                       std::string_view content_type, std::string_view body,
                                       bool whole, unsigned status) {
  const auto* where = whole ? "" : " in what was read of it";
  if (!options.body_contains.empty() && !body.contains(options.body_contains)) {
    return wrong_body(std::format("the body does not hold {}{}",
                                  json::quote(shown(options.body_contains)), where));
  }
  if (!options.body_regex.empty()) {
    const auto regex = regexes.get(options.body_regex);
    if (!regex)
      return ProbeVerdict{Verdict::fail, ProbeReason::internal,
                          "the regular expression cannot be used"};
    if (!RE2::PartialMatch(re2::StringPiece(body.data(), body.size()), *regex))
      return wrong_body(
          std::format("the body does not match /{}/{}", shown(options.body_regex), where));
  }
  if (!options.json.empty()) {
    if (!whole) return wrong_body("the body is too large to be read as JSON");
    if (auto verdict = judge_json(options.json, body)) return verdict;
  }
  if (!whole) return std::nullopt;
  if (media_type_is(content_type, "application/health+json") ||
      (options.json.empty() && media_type_is(content_type, "application/json"))) {
    return judge_health(body, status);
  }
  return std::nullopt;
}

}  // namespace sentinel::io
