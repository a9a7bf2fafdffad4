#include "protocol/probe_values.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "protocol/json.hpp"
#include "protocol/probe_settings.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {
namespace {

using text::expected_form;
using text::is_digit;
using text::lower;
using text::split;
using text::trim;

std::string at_most(std::size_t n, std::string_view what) {
  return "at most " + std::to_string(n) + " " + std::string(what);
}

/// RFC 6901: empty, or a slash before each token; `~` only as `~0` and `~1`.
bool good_pointer(std::string_view pointer) {
  if (!pointer.empty() && pointer.front() != '/') return false;
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    const auto byte = static_cast<unsigned char>(pointer[i]);
    if (byte < 0x20 || byte == 0x7F) return false;
    if (pointer[i] == '~' &&
        (i + 1 == pointer.size() || (pointer[i + 1] != '0' && pointer[i + 1] != '1')))
      return false;
  }
  return pointer.size() <= 256;
}

struct Operator {
  std::string_view sign;
  core::JsonCheck::Op op;
  bool ordering;
};
// Longer ones first.
constexpr std::array<Operator, 7> operators{{{"==", core::JsonCheck::Op::equal, false},
                                             {"!=", core::JsonCheck::Op::not_equal, false},
                                             {"<=", core::JsonCheck::Op::at_most, true},
                                             {">=", core::JsonCheck::Op::at_least, true},
                                             {"=", core::JsonCheck::Op::equal, false},
                                             {"<", core::JsonCheck::Op::less, true},
                                             {">", core::JsonCheck::Op::greater, true}}};

std::optional<core::JsonCheck> json_check(std::string_view part) {
  const auto space = part.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  core::JsonCheck check;
  check.pointer = std::string(part.substr(0, space));
  std::string_view rest = trim(part.substr(space));
  if (!good_pointer(check.pointer)) return std::nullopt;
  if (rest == "exists") {
    check.op = core::JsonCheck::Op::exists;
    return check;
  }
  const auto found = std::ranges::find_if(
      operators, [&rest](const Operator& known) { return rest.starts_with(known.sign); });
  if (found == operators.end()) return std::nullopt;
  rest = trim(rest.substr(found->sign.size()));
  const auto value = json::parse(rest, {.max_bytes = 1024, .max_depth = 8, .max_values = 64});
  if (!value) return std::nullopt;
  if (found->ordering) {
    const auto number = value->number();
    if (!number || !std::isfinite(*number)) return std::nullopt;
  }
  check.op = found->op;
  check.value = std::string(rest);
  return check;
}

std::optional<std::vector<std::string>> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool open = false;  // a word has begun, be it empty
  char quote = '\0';
  for (const char c : text) {
    if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      open = true;
    } else if (c == ' ' || c == '\t') {
      if (open) words.push_back(std::move(word));
      word.clear();
      open = false;
    } else {
      word += c;
      open = true;
    }
  }
  if (quote != '\0') return std::nullopt;
  if (open) words.push_back(std::move(word));
  return words;
}

std::optional<std::vector<std::string>> strings_of(std::string_view text) {
  const auto array = json::parse(
      text, {.max_bytes = max_option_bytes, .max_depth = 2, .max_values = max_list + 1});
  if (!array || !array->is_array()) return std::nullopt;
  std::vector<std::string> words;
  for (const json::Value& item : array->array()) {
    if (!item.is_string()) return std::nullopt;
    words.emplace_back(item.text());
  }
  return words;
}

}  // namespace

Parsed<std::vector<core::StatusRange>> parse_status_ranges(std::string_view text) {
  const std::string form =
      "a list of status codes from 100 to 599 and ranges such as 200-299,401, " +
      at_most(max_list, "of them");
  std::vector<core::StatusRange> ranges;
  for (auto part : split(text, ',', max_list + 1)) {
    core::StatusRange range;
    if (part.size() == 3 && part.ends_with("xx") && part[0] >= '1' && part[0] <= '5') {
      range.from = static_cast<std::uint16_t>((part[0] - '0') * 100);
      range.to = static_cast<std::uint16_t>(range.from + 99);
    } else {
      const auto dash = part.find('-');
      const auto from = parse_count(part.substr(0, dash), 100, 599);
      const auto to =
          dash == std::string_view::npos ? from : parse_count(part.substr(dash + 1), 100, 599);
      if (!from || !to || *from > *to) return expected_form(form);
      range = {static_cast<std::uint16_t>(*from), static_cast<std::uint16_t>(*to)};
    }
    if (ranges.size() == max_list) return expected_form(form);
    ranges.push_back(range);
  }
  return ranges;
}

Parsed<std::vector<core::JsonCheck>> parse_json_checks(std::string_view text) {
  const std::string form =
      "JSON pointers with what must hold, such as /status = \"ok\", /queue < 100 or /x exists, " +
      at_most(max_list, "of them");
  const auto parts = text::split_values(text, max_list + 1);
  if (parts.empty() || parts.size() > max_list) return expected_form(form);
  std::vector<core::JsonCheck> checks;
  for (const auto part : parts) {
    auto check = json_check(part);
    if (!check) return expected_form(form);
    checks.push_back(std::move(*check));
  }
  return checks;
}

Parsed<std::string> parse_regex(std::string_view text) {
  const std::string form =
      "a regular expression of RE2, " + at_most(max_regex_bytes, "bytes") + " and not too large";
  if (text.empty() || text.size() > max_regex_bytes) return expected_form(form);
  RE2::Options options{RE2::Quiet};
  options.set_max_mem(max_regex_memory);
  const RE2 regex{std::string(text), options};
  if (!regex.ok()) return expected_form(form);
  return std::string(text);
}

Parsed<std::string> parse_bytes(std::string_view text) {
  const std::string form = "text in which \\r \\n \\t \\\\ and \\xHH stand for bytes, 1 to " +
                           std::to_string(max_expected_bytes) + " of them";
  const auto hex = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    if (++i == text.size()) return expected_form(form);
    switch (text[i]) {
      case 'r': bytes += '\r'; break;
      case 'n': bytes += '\n'; break;
      case 't': bytes += '\t'; break;
      case '\\': bytes += '\\'; break;
      case 'x': {
        if (i + 2 >= text.size() || !hex(text[i + 1]) || !hex(text[i + 2]))
          return expected_form(form);
        const auto nibble = [](char c) { return is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10; };
        bytes += static_cast<char>(nibble(text[i + 1]) * 16 + nibble(text[i + 2]));
        i += 2;
        break;
      }
      default: return expected_form(form);
    }
  }
  if (bytes.empty() || bytes.size() > max_expected_bytes) return expected_form(form);
  return bytes;
}

Parsed<std::string> parse_header_name(std::string_view text) {
  // RFC 9110, 5.6.2.
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  constexpr std::array<std::string_view, 8> ours{
      "connection", "content-length",    "expect", "keep-alive", "te",
      "trailer",    "transfer-encoding", "upgrade"};
  const bool token = !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [&](char c) {
    return is_digit(c) || text::is_alpha(c) || marks.find(c) != std::string_view::npos;
  });
  if (!token) return expected_form("a header's name of 1 to 64 letters, digits and -");
  if (std::ranges::find(ours, lower(text)) != ours.end())
    return expected_form("a header that does not belong to the connection, such as Authorization");
  return std::string(text);
}

Parsed<std::string> parse_header_value(std::string_view text) {
  text = trim(text);
  const bool good = text.size() <= max_header_bytes && std::ranges::all_of(text, [](char c) {
                      const auto byte = static_cast<unsigned char>(c);
                      return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
                    });
  if (!good)
    return expected_form("a header's value on one line, " + at_most(max_header_bytes, "bytes"));
  return std::string(text);
}

Parsed<Header> parse_header(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return expected_form("a header such as Accept: text/html");
  auto name = parse_header_name(text.substr(0, colon));
  if (!name) return std::unexpected(std::move(name.error()));
  auto value = parse_header_value(text.substr(colon + 1));
  if (!value) return std::unexpected(std::move(value.error()));
  return Header{std::move(*name), std::move(*value)};
}

Parsed<std::uint16_t> parse_dns_type(std::string_view text) {
  struct Type {
    std::string_view name;
    std::uint16_t number;
  };
  constexpr std::array<Type, 10> types{{{"a", 1},
                                        {"ns", 2},
                                        {"cname", 5},
                                        {"soa", 6},
                                        {"ptr", 12},
                                        {"mx", 15},
                                        {"txt", 16},
                                        {"aaaa", 28},
                                        {"srv", 33},
                                        {"caa", 257}}};
  const std::string word = lower(text.substr(0, 10));
  const auto known = std::ranges::find(types, std::string_view{word}, &Type::name);
  if (known != types.end()) return known->number;
  return expected_form("A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV or TXT");
}

Parsed<unsigned> parse_dns_rcode(std::string_view text) {
  constexpr std::array<std::string_view, 6> names{"noerror",  "formerr", "servfail",
                                                  "nxdomain", "notimp",  "refused"};
  const std::string word = lower(text.substr(0, 10));
  const auto known = std::ranges::find(names, std::string_view{word});
  if (known != names.end()) return static_cast<unsigned>(known - names.begin());
  if (const auto number = parse_count(text, 0, 15)) return *number;
  return expected_form(
      "NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED or a number from 0 to 15");
}

Parsed<std::string> parse_mailbox(std::string_view text, bool null_sender) {
  const std::string form =
      "a mail address such as probe@example.org" + std::string(null_sender ? ", or <>" : "");
  if (text == "<>" && null_sender) return std::string(text);
  const auto at = text.rfind('@');
  // RFC 5321, 4.5.3.1; what could end the command or the path is left out.
  const bool good = at != std::string_view::npos && at > 0 && at <= 64 && text.size() <= 254 &&
                    at + 1 < text.size() && std::ranges::all_of(text, [](char c) {
                      return text::is_visible(c) && c != '<' && c != '>' && c != '"' && c != '\\' &&
                             c != ',' && c != ';' && c != ':' && c != '(' && c != ')';
                    });
  const auto domain = text.substr(std::min(at, text.size() - 1) + 1);
  if (!good || !good_host(domain, false) || text.substr(0, at).find('@') != std::string_view::npos)
    return expected_form(form);
  return std::string(text);
}

Parsed<std::vector<std::string>> parse_command(std::string_view text) {
  const std::string form = "a program and its arguments, as words or as a JSON array of strings, " +
                           at_most(max_list, "of them");
  text = trim(text);
  if (text.size() > max_option_bytes) return expected_form(form);
  auto words = text.starts_with('[') ? strings_of(text) : words_of(text);
  const bool good =
      words && !words->empty() && words->size() <= max_list && !words->front().empty() &&
      std::ranges::all_of(
          *words, [](const std::string& word) { return word.find('\0') == std::string::npos; });
  if (!good) return expected_form(form);
  return std::move(*words);
}

Parsed<Threshold> parse_threshold(std::string_view text, unsigned max) {
  constexpr unsigned longest = 64;
  const auto slash = text.find('/');
  const auto count = parse_count(text.substr(0, slash), 1, max);
  if (count && slash == std::string_view::npos) return Threshold{*count, 0};
  if (count) {
    const auto of = parse_count(text.substr(slash + 1), 1, longest);
    if (of && *count <= *of) return Threshold{*count, *of};
  }
  return expected_form("a number from 1 to " + std::to_string(max) +
                       ", or so many of the last so many, such as 3/5, at most 64");
}

}  // namespace sentinel::protocol
