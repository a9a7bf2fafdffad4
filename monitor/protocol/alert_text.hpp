#pragma once

// What people are told of incidents, in words, the same for every channel: core::Message becomes
// short, safe texts, and each channel puts them into its own markup (alert_slack, alert_mail, ...).
//
// Every text here is valid UTF-8, shows control, bidi and invisible characters instead of obeying
// them (protocol/escape.hpp) and is bounded. Markup, mentions and quotes are still in it: what is
// special differs from channel to channel.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/alert_model.hpp"

namespace sentinel::protocol {

// Bytes, as many as anybody reads.
inline constexpr std::size_t max_alert_word = 128;      // names, labels, ids
inline constexpr std::size_t max_alert_sentence = 500;  // causes, actions
inline constexpr std::size_t max_alert_subject = 200;   // the line by which a message is known
inline constexpr std::size_t max_alert_output = 3000;   // health output, log lines: each
inline constexpr std::size_t max_alert_output_lines = 40;
inline constexpr std::size_t max_alert_actions = 20;
inline constexpr std::size_t max_alert_members = 25;
inline constexpr std::size_t max_alert_url = 2000;

struct AlertAction {
  std::string at;    // "19:53:10"
  std::string text;  // one line
  std::string result;
};

struct AlertMember {
  std::string title;
  std::string text;
  bool recovered = false;
};

struct AlertItem {
  bool resolved = false;
  core::Severity severity = core::Severity::critical;
  std::string id;
  std::string kind;      // service, server, pool, ...
  std::string subject;   // `service:shop/web/1`
  std::string title;     // "web"
  std::string cause;     // one word
  std::string sentence;  // of an ended one, how it ended
  std::string headline;  // "web: connection refused"
  std::string host;
  std::string began;   // "2026-11-25 19:53:10 UTC"
  std::string ended;   // empty: not yet
  std::string lasted;  // "12 min 3 s", until the end or until the message was made
  std::string container;
  std::vector<AlertAction> actions;  // what was done, the first ones and the newest
  std::size_t actions_left_out = 0;
  std::vector<AlertMember> members;  // what else fails because of it
  std::size_t more_members = 0;
  std::string health_output;  // may hold line feeds; its beginning
  std::string log_tail;       // may hold line feeds; its end
  std::string link;           // safe_url(); empty: none
  std::string runbook;
  std::vector<std::pair<std::string, std::string>> labels;

  /// What stands in a table: name and value, in order.
  std::vector<std::pair<std::string_view, std::string>> facts() const;
};

struct AlertText {
  core::MessageKind kind = core::MessageKind::firing;
  bool resolved = false;                           // nothing in it goes on
  core::Severity severity = core::Severity::info;  // the worst of what goes on, else of all
  std::string subject;                             // "[CRITICAL] web: connection refused"
  std::string host;
  std::string note;
  std::vector<AlertItem> items;
  std::size_t more = 0;
  std::vector<std::pair<std::string, std::string>> group;
};

AlertText alert_text(const core::Message& message);

/// Leaves something out, for a channel in which it does not fit: outputs of all incidents but the
/// first, then the second half of the incidents, counted in `more`. False: only the first is left.
bool shorten(AlertText& text);

/// The whole message for people, in plain lines; at most `max_bytes` bytes, cut at a line.
std::string plain_text(const AlertText& text, std::size_t max_bytes);
/// One incident of it.
std::string plain_text(const AlertItem& item);

/// Cut at `max_bytes` between characters of valid UTF-8, ended by "..." when something was left
/// out.
std::string cut(std::string_view text, std::size_t max_bytes);

/// A link that no markup can break: `http` or `https`, at most max_alert_url bytes, everything but
/// letters, digits and the harmless punctuation of URLs percent-encoded. Empty: it is none.
std::string safe_url(std::string_view url);

/// "2026-11-25 19:53:10 UTC", "2026-11-25T19:53:10.123Z". Years 1970 to 9999.
std::string utc_text(core::WallTime time);
std::string rfc3339(core::WallTime time);

}  // namespace sentinel::protocol
