// The writing half of alert_json.hpp.

#include <algorithm>
#include <concepts>
#include <optional>
#include <utility>

#include "protocol/alert_json.hpp"
#include "protocol/alert_words.hpp"
#include "protocol/json.hpp"

namespace sentinel::protocol {

namespace {

using namespace alert_words;
using Bounds = AlertBounds;

template <typename Words, typename Enum>
std::string_view word(const Words& words, Enum value) {
  const auto* found = std::ranges::find(words, value, [](const auto& w) { return w.value; });
  return found == words.end() ? std::string_view{} : found->text;
}

std::int64_t ms(core::WallTime t) {
  return std::clamp(t.time_since_epoch().count(), -max_wall_ms, max_wall_ms);
}

/// Writes one document from front to back: no tree is built, because thousands may have to be
/// written at once.
class Writer {
 public:
  std::string take() { return std::move(out_); }

  template <typename Members>
  void object(Members members) {
    element();
    out_ += '{';
    first_ = true;
    members();
    out_ += '}';
    first_ = false;
  }

  void member(std::string_view key, std::string_view text) {
    begin(key);
    out_ += json::quote(text);
  }
  void member(std::string_view key, const std::string& text) {
    member(key, std::string_view{text});
  }
  void member(std::string_view key, bool value) {
    begin(key);
    out_ += value ? "true" : "false";
  }
  void member(std::string_view key, std::unsigned_integral auto value) {
    begin(key);
    out_ += std::to_string(value);
  }
  void member(std::string_view key, core::WallTime t) {
    begin(key);
    out_ += std::to_string(ms(t));
  }
  void member(std::string_view key, const std::optional<core::WallTime>& t) {
    if (t) return member(key, *t);
    begin(key);
    out_ += "null";
  }
  template <typename Members>
    requires std::invocable<Members>
  void member(std::string_view key, Members members) {
    begin(key);
    first_ = true;
    object(members);
  }
  /// At most `limit` of a list; `write` gives the members of one.
  template <typename List, typename Write>
  void list(std::string_view key, const List& values, std::size_t limit, Write write) {
    begin(key);
    out_ += '[';
    first_ = true;
    for (std::size_t i = 0; i < values.size() && i < limit; ++i) object([&] { write(values[i]); });
    out_ += ']';
    first_ = false;
  }

  void labels(std::string_view key, const core::Labels& labels) {
    member(key, [&] {
      std::size_t count = 0;
      for (const auto& [label, value] : labels) {
        if (++count > Bounds::labels) break;
        element();
        first_ = false;
        out_ += json::quote(name(label));
        out_ += ':';
        out_ += json::quote(name(value));
      }
    });
  }

  void subject(std::string_view key, const core::Subject& s) {
    member(key, [&] {
      member("kind", word(kinds, s.kind));
      member("group", name(s.group));
      member("name", name(s.name));
      member("replica", s.replica);
    });
  }

  void told(const core::IncidentTold& t) {
    member("receiver", name(t.receiver));
    member("sequence", t.sequence);
    member("severity", word(severities, t.severity));
    member("cause", name(t.cause));
    member("flapping", t.flapping);
    member("ended", t.ended);
    member("at", t.at);
  }

  void incident(const core::Incident& i) {
    member("id", name(i.id, Bounds::id));
    subject("root", i.root);
    member("title", sentence(i.title));
    member("severity", word(severities, i.severity));
    member("cause", name(i.cause));
    member("text", sentence(i.text));
    member("container", name(i.container, 2 * Bounds::id));
    member("began", i.began);
    member("ended", i.ended);
    member("end_text", sentence(i.end_text));
    member("ended_gone", i.ended_gone);
    member("sequence", i.sequence);
    list("members", i.members, Bounds::members, [this](const core::IncidentMember& m) {
      subject("subject", m.subject);
      member("title", sentence(m.title));
      member("text", sentence(m.text));
      member("joined", m.joined);
      member("recovered", m.recovered);
    });
    member("more_members", counted(i.more_members, i.members.size(), Bounds::members));
    list("lines", i.lines, Bounds::lines, [this](const core::IncidentLine& l) {
      member("at", l.at);
      member("text", sentence(l.text));
      member("result", sentence(l.result));
    });
    member("health_output", block(i.health_output));
    member("log_tail", block(i.log_tail));
    member("flapping", i.flapping);
    member("merged_into", name(i.merged_into, Bounds::id));
    list("told", i.told, Bounds::receivers, [this](const core::IncidentTold& t) { told(t); });
    member("closed", i.closed);
  }

  void message(const core::Message& m) {
    member("kind", word(message_kinds, m.kind));
    member("host", name(m.host));
    labels("group", m.group);
    list("items", m.items, core::Message::max_items, [this](const core::MessageItem& item) {
      member("incident", [&] { incident(item.incident); });
      labels("labels", item.labels);
      member("link", name(item.link, Bounds::sentence));
      member("runbook", name(item.runbook, Bounds::sentence));
    });
    member("more", counted(m.more, m.items.size(), core::Message::max_items));
    member("note", sentence(m.note));
    member("made", m.made);
  }

 private:
  /// What was left out, and what did not fit now.
  static std::uint64_t counted(unsigned more, std::size_t size, std::size_t limit) {
    return std::min<std::uint64_t>(more + (size - std::min(size, limit)), max_count);
  }

  void element() {
    if (!first_) out_ += ',';
  }
  /// Keys are words of this file.
  void begin(std::string_view key) {
    element();
    first_ = false;
    out_ += '"';
    out_ += key;
    out_ += "\":";
  }

  std::string out_;
  bool first_ = true;
};

template <typename Members>
std::string document(Members members) {
  Writer writer;
  writer.object([&] { members(writer); });
  return writer.take();
}

}  // namespace

std::string format_incident(const core::Incident& incident) {
  return document([&](Writer& w) { w.incident(incident); });
}

std::string format_delivery(const core::Delivery& d) {
  return document([&](Writer& w) {
    w.member("id", d.id);
    w.member("key", name(d.key));
    w.member("receiver", name(d.receiver));
    w.member("message", [&] { w.message(d.message); });
    w.list("covers", d.covers, Bounds::covers, [&w](const core::DeliveryCover& c) {
      w.member("incident", name(c.incident, Bounds::id));
      w.member("told", [&] { w.told(c.told); });
    });
    w.member("attempts", std::min(d.attempts, static_cast<unsigned>(max_count)));
    w.member("created", d.created);
    w.member("changed", d.changed);
    w.member("dead", d.dead);
    w.member("error", sentence(d.error));
  });
}

std::string format_silence(const core::Silence& s) {
  return document([&](Writer& w) {
    w.member("id", name(s.id, Bounds::id));
    w.list("match", s.match, Bounds::matchers, [&w](const core::Matcher& m) {
      w.member("label", name(m.label));
      w.member("op", word(operators, m.op));
      w.member("value", name(m.value));
    });
    w.member("by", sentence(s.by));
    w.member("comment", sentence(s.comment));
    w.member("begins", s.begins);
    w.member("ends", s.ends);
  });
}

}  // namespace sentinel::protocol
