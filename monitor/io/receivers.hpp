#pragma once

// Receivers as the sender needs them: where they are and how they are spoken to. Read from the
// configuration by app/alerts_receivers.hpp, which has checked all that is said here.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/time.hpp"
#include "io/secret.hpp"
#include "protocol/alert_mail.hpp"
#include "protocol/alert_template.hpp"

namespace sentinel::io {

inline constexpr std::size_t max_receivers = 64;

enum class ReceiverKind : std::uint8_t {
  slack,
  webhook,       // Alertmanager's shape, signed
  alertmanager,  // API v2
  templated,     // webhook with a template: ntfy, Gotify, Discord, Teams, and one's own
  email,
  relay,  // the monitor beside failover, which tells people then; over its Unix socket
};

enum class MailSecurity : std::uint8_t {
  tls,       // from the first byte: 465
  starttls,  // required: 587
  none,      // a relay of one's own; without user and password only
};

struct MailServer {
  std::string host;  // name or address
  std::uint16_t port = 587;
  MailSecurity security = MailSecurity::starttls;
  std::string helo;  // our name in EHLO
  std::string user;  // empty: no authentication
  Secret password;
  protocol::MailEnvelope envelope;
  bool operator==(const MailServer&) const = default;
};

struct ReceiverSpec {
  std::string name;
  std::string integration;  // word of the configuration, for metrics: slack, ntfy, email, ...
  ReceiverKind kind = ReceiverKind::webhook;

  std::string unix_socket;  // relay: path of the monitor's; others: empty
  Secret url;  // http or https; as a whole, for the path and the query are often the credential
  std::vector<std::pair<std::string, Secret>> headers;  // added to ours
  Secret signing_key;  // webhook: of X-Sentinel-Signature; empty: unsigned
  std::shared_ptr<const protocol::AlertTemplate> body;  // templated
  Secret proxy;          // URL, http or https; empty: none. Not for e-mail
  std::string no_proxy;  // hosts, comma separated

  MailServer mail;  // email

  std::string ca_file;            // PEM, instead of the system's authorities; empty: the system's
  bool verify = true;             // the server's certificate
  bool allow_link_local = false;  // link-local and metadata addresses, which are refused otherwise
  core::Duration timeout =
      std::chrono::seconds{10};  // of an attempt, name lookup included; at most 10 s
  core::Duration interval{};     // between the beginnings of two attempts; Slack: 1 s
};

/// What may be shown of a receiver: "https://hooks.example.org", "smtp://mail.example.org:587",
/// "unix:///run/sentinel/monitor.sock".
std::string shown_address(const ReceiverSpec& receiver);

}  // namespace sentinel::io
