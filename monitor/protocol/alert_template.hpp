#pragma once

// Bodies of templated webhooks. A template is a JSON document; its strings may hold placeholders,
// and the result is made by filling in values and writing the document as JSON again, so that no
// value can end the string it stands in. What the values are: docs/alerts.md.
//
//   "{{ severity }} on {{ host }}"        text; what is no string is written as JSON
//   "{{ incidents }}"                      alone in its string: the value itself, whatever its type
//   "{{ text | limit 900 | markdown }}"    filters, left to right
//   {"$each": "incidents", "$do": {...}}   in a list: one element for each, which is called `item`
//   {"$if": "link", "$then": ..., "$else": ...}
//                                          by whether the value is there, and neither empty, 0 nor
//                                          false; without $else the element or member is left out
//   {"$switch": "severity", "critical": 5, "*": 3}
//                                          by a text; `*`: any other
//
// Filters: `limit N` (bytes), `upper`, `words` (of a list of texts, joined by commas), and of
// escaping exactly one, the document's `"$escape"` where none is named:
//   chat      `@` and `<` lose their power to mention and to link (the default)
//   markdown  as chat, and all markup by backslashes
//   html      as HTML
//   url       percent-encoded
//   code      for the inside of a fenced block: it cannot be ended
//   plain     nothing
// A name that leads nowhere is refused when it can be seen then (a first part that is unknown), and
// empty else.

#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/alert_request.hpp"
#include "protocol/error.hpp"

namespace sentinel::protocol {

inline constexpr std::size_t max_template_bytes = std::size_t{64} * 1024;

class AlertTemplate {
 public:
  /// `parameters`: found as `params.NAME`. The error says what is wrong and where.
  static std::expected<std::shared_ptr<const AlertTemplate>, Error> parse(
      std::string_view text, std::vector<std::pair<std::string, std::string>> parameters = {});

  ~AlertTemplate();
  AlertTemplate(const AlertTemplate&) = delete;
  AlertTemplate& operator=(const AlertTemplate&) = delete;

  /// What does not fit into max_alert_body is rendered of less: alert_text.hpp, shorten(). The
  /// error: it does not fit even so.
  std::expected<AlertRequest, Error> render(const core::Delivery& delivery) const;

 private:
  struct Content;
  explicit AlertTemplate(std::unique_ptr<Content> content);
  std::unique_ptr<const Content> content_;
};

}  // namespace sentinel::protocol
