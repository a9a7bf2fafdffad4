#include "protocol/alert_json.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "protocol/alert_words.hpp"
#include "protocol/escape.hpp"
#include "protocol/json.hpp"

namespace sentinel::protocol {

namespace alert_words {

std::string name(std::string_view text, std::size_t bytes) {
  const bool fine = text.size() <= bytes && std::ranges::none_of(text, [](char c) {
                      return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
                    });
  return fine ? std::string(text) : one_line(text, bytes);
}

std::string name(std::string_view text) { return name(text, AlertBounds::name); }

std::string sentence(std::string_view text) { return one_line(text, AlertBounds::sentence); }

std::string_view block(std::string_view text) {
  auto bytes = AlertBounds::block;
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  return text.substr(0, bytes);
}

}  // namespace alert_words

namespace {

using namespace alert_words;
using json::Value;
using Bounds = AlertBounds;

/// Reads members of one object and remembers the first that was impossible.
class Reader {
 public:
  std::optional<std::string> problem() const { return problem_; }

  void fail(std::string_view member) {
    if (!problem_) problem_ = one_line(member, Bounds::id);
  }

  std::string_view text(const Value& object, std::string_view member) {
    const auto& value = object[member];
    if (!value.is_string()) fail(member);
    return value.text();
  }

  bool boolean(const Value& object, std::string_view member) {
    const auto value = object[member].boolean();
    if (!value) fail(member);
    return value.value_or(false);
  }

  std::int64_t integer(const Value& object, std::string_view member, std::int64_t min,
                       std::int64_t max) {
    const auto value = object[member].integer(min, max);
    if (!value) fail(member);
    return value.value_or(min);
  }

  std::uint64_t number(const Value& object, std::string_view member) {
    return static_cast<std::uint64_t>(integer(object, member, 0, INT64_MAX));
  }

  unsigned count(const Value& object, std::string_view member) {
    return static_cast<unsigned>(integer(object, member, 0, max_count));
  }

  core::WallTime wall(const Value& object, std::string_view member) {
    return core::WallTime{
        std::chrono::milliseconds{integer(object, member, -max_wall_ms, max_wall_ms)}};
  }

  std::optional<core::WallTime> perhaps(const Value& object, std::string_view member) {
    if (object[member].is_null()) return std::nullopt;
    return wall(object, member);
  }

  template <typename Words>
  auto one_of(const Value& object, std::string_view member, const Words& words) {
    const auto given = object[member].text();
    const auto* found = std::ranges::find(words, given, [](const auto& w) { return w.text; });
    if (found == words.end()) {
      fail(member);
      return words.front().value;
    }
    return found->value;
  }

  template <typename Read>
  auto list(const Value& object, std::string_view member, std::size_t limit, Read read) {
    std::vector<decltype(read(object))> out;
    const auto& value = object[member];
    if (!value.is_array() || value.array().size() > limit) {
      fail(member);
      return out;
    }
    out.reserve(value.array().size());
    for (const auto& one : value.array()) {
      if (!one.is_object()) fail(member);
      if (problem_) break;
      out.push_back(read(one));
    }
    return out;
  }

  core::Labels labels(const Value& object, std::string_view member) {
    core::Labels out;
    const auto& value = object[member];
    if (!value.is_object() || value.object().size() > Bounds::labels) {
      fail(member);
      return out;
    }
    for (const auto& [label, one] : value.object()) {
      if (!one.is_string()) fail(member);
      out.insert_or_assign(name(label), name(one.text()));
    }
    return out;
  }

  core::Subject subject(const Value& object, std::string_view member) {
    const auto& value = object[member];
    return {.kind = one_of(value, "kind", kinds),
            .group = name(text(value, "group")),
            .name = name(text(value, "name")),
            .replica = count(value, "replica")};
  }

  core::IncidentTold told(const Value& t) {
    return {.receiver = name(text(t, "receiver")),
            .sequence = number(t, "sequence"),
            .severity = one_of(t, "severity", severities),
            .cause = name(text(t, "cause")),
            .flapping = boolean(t, "flapping"),
            .ended = boolean(t, "ended"),
            .at = wall(t, "at")};
  }

  std::string id(const Value& object, std::string_view member) {
    auto out = name(text(object, member), Bounds::id);
    if (out.empty()) fail(member);
    return out;
  }

  core::Incident incident(const Value& i) {
    core::Incident out;
    out.id = id(i, "id");
    out.root = subject(i, "root");
    out.title = sentence(text(i, "title"));
    out.severity = one_of(i, "severity", severities);
    out.cause = name(text(i, "cause"));
    out.text = sentence(text(i, "text"));
    out.container = name(text(i, "container"), 2 * Bounds::id);
    out.began = wall(i, "began");
    out.ended = perhaps(i, "ended");
    out.end_text = sentence(text(i, "end_text"));
    out.ended_gone = boolean(i, "ended_gone");
    out.sequence = number(i, "sequence");
    out.members = list(i, "members", Bounds::members, [this](const Value& m) {
      return core::IncidentMember{.subject = subject(m, "subject"),
                                  .title = sentence(text(m, "title")),
                                  .text = sentence(text(m, "text")),
                                  .joined = wall(m, "joined"),
                                  .recovered = perhaps(m, "recovered")};
    });
    out.more_members = count(i, "more_members");
    out.lines = list(i, "lines", Bounds::lines, [this](const Value& l) {
      return core::IncidentLine{.at = wall(l, "at"),
                                .text = sentence(text(l, "text")),
                                .result = sentence(text(l, "result"))};
    });
    out.health_output = std::string{block(text(i, "health_output"))};
    out.log_tail = std::string{block(text(i, "log_tail"))};
    out.flapping = boolean(i, "flapping");
    out.merged_into = name(text(i, "merged_into"), Bounds::id);
    out.told = list(i, "told", Bounds::receivers, [this](const Value& t) { return this->told(t); });
    out.closed = boolean(i, "closed");
    return out;
  }

  core::Message message(const Value& m) {
    core::Message out;
    out.kind = one_of(m, "kind", message_kinds);
    out.host = name(text(m, "host"));
    out.group = labels(m, "group");
    out.items = list(m, "items", core::Message::max_items, [this](const Value& item) {
      return core::MessageItem{.incident = incident(item["incident"]),
                               .labels = labels(item, "labels"),
                               .link = name(text(item, "link"), Bounds::sentence),
                               .runbook = name(text(item, "runbook"), Bounds::sentence)};
    });
    out.more = count(m, "more");
    out.note = sentence(text(m, "note"));
    out.made = wall(m, "made");
    return out;
  }

 private:
  std::optional<std::string> problem_;
};

template <typename Read>
auto read_document(std::string_view text, Read read)
    -> std::expected<decltype(read(std::declval<Reader&>(), std::declval<const Value&>())), Error> {
  const auto document =
      json::parse(text, {.max_bytes = Bounds::document, .max_depth = 16, .max_values = 500'000});
  if (!document) return std::unexpected(document.error());
  Reader reader;
  auto out = read(reader, *document);
  if (const auto problem = reader.problem())
    return std::unexpected(Error{"impossible value of " + *problem});
  return out;
}

}  // namespace

std::expected<core::Incident, Error> parse_incident(std::string_view text) {
  return read_document(text, [](Reader& r, const Value& v) { return r.incident(v); });
}

std::expected<core::Delivery, Error> parse_delivery(std::string_view text) {
  return read_document(text, [](Reader& r, const Value& v) {
    core::Delivery out;
    out.id = r.number(v, "id");
    out.key = name(r.text(v, "key"));
    out.receiver = name(r.text(v, "receiver"));
    out.message = r.message(v["message"]);
    out.covers = r.list(v, "covers", Bounds::covers, [&r](const Value& c) {
      return core::DeliveryCover{.incident = r.id(c, "incident"), .told = r.told(c["told"])};
    });
    out.attempts = r.count(v, "attempts");
    out.created = r.wall(v, "created");
    out.changed = r.wall(v, "changed");
    out.dead = r.perhaps(v, "dead");
    out.error = sentence(r.text(v, "error"));
    return out;
  });
}

std::expected<core::Silence, Error> parse_silence(std::string_view text) {
  return read_document(text, [](Reader& r, const Value& v) {
    core::Silence out;
    out.id = r.id(v, "id");
    out.match = r.list(v, "match", Bounds::matchers, [&r](const Value& m) {
      return core::Matcher{.label = name(r.text(m, "label")),
                           .op = r.one_of(m, "op", operators),
                           .value = name(r.text(m, "value"))};
    });
    out.by = sentence(r.text(v, "by"));
    out.comment = sentence(r.text(v, "comment"));
    out.begins = r.wall(v, "begins");
    out.ends = r.wall(v, "ends");
    return out;
  });
}

}  // namespace sentinel::protocol
