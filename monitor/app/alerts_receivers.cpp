#include "app/alerts_receivers.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "app/alerts_values.hpp"
#include "app/secret_file.hpp"
#include "protocol/alert_presets.hpp"
#include "protocol/escape.hpp"
#include "protocol/hosts.hpp"
#include "protocol/settings.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::app {

namespace {

using protocol::Error;
using protocol::text::expected_form;
using namespace alerts_values;
using namespace std::chrono_literals;

constexpr std::size_t least_signing_key = 16;
constexpr core::Duration slack_interval = 1s;
constexpr std::array<std::string_view, 9> kinds{
    "slack", "webhook", "alertmanager", "email", "ntfy", "gotify", "discord", "teams", "template"};

/// A key of a receiver. With `file`, KEY_file names a file that holds the value.
struct Option {
  std::string_view name;
  ValueSetter set;
  ListStyle list = ListStyle::none;
  bool secret = false;
  bool file = false;
  std::size_t max_bytes = max_secret_bytes;
};

class ReceiverReader {
 public:
  ReceiverReader(FileReader& reader, const Environment& environment, const std::string& host)
      : reader_(reader), environment_(environment) {
    core_.name = spec_.name;
    spec_.mail.helo = host;
  }

  void read(const YamlNode& name, const YamlNode& node, const std::string& prefix) {
    prefix_ = join_key(prefix, name.scalar);
    core_.name = spec_.name = name.scalar;
    if (node.kind != YamlNode::Kind::mapping) {
      reader_.error(node.at, prefix_, "expected a mapping with the kind of the receiver");
      return;
    }
    reader_.each(node, prefix_, [&](const YamlNode& key, const YamlNode& value) {
      const auto full = join_key(prefix_, key.scalar);
      if (key.scalar == "resolved") {
        reader_.value(value, full, [&](auto v) { return set_bool(v, core_.resolved); });
      } else if (key.scalar == "rate") {
        reader_.value(value, full, [&](std::string_view v) -> Result {
          const auto rate = protocol::parse_count(v, 1, 1000);
          if (!rate) return std::unexpected(rate.error());
          core_.rate = *rate;
          return {};
        });
      } else if (std::ranges::find(kinds, key.scalar) != kinds.end()) {
        if (!spec_.integration.empty()) {
          reader_.error(key.at, full, "expected one kind; this receiver is " + spec_.integration);
          return;
        }
        spec_.integration = key.scalar;
        read_kind(key, value, full);
      } else {
        std::vector<std::string_view> known{kinds.begin(), kinds.end()};
        known.insert(known.end(), {"resolved", "rate"});
        reader_.unknown(key, prefix_, known);
      }
    });
    if (spec_.integration.empty())
      reader_.error(name.at, prefix_, "expected a kind: slack, webhook, email, ...");
  }

  core::AlertReceiver core_;
  io::ReceiverSpec spec_;

 private:
  void read_kind(const YamlNode& key, const YamlNode& node, const std::string& full) {
    const std::string& kind = spec_.integration;
    if (kind == "email") {
      read_mail(key, node, full);
      return;
    }
    auto options = http_options();
    std::string body;
    if (kind == "webhook" || kind == "template") {
      options.push_back({.name = "template",
                         .set = [&](std::string_view v) -> Result {
                           body = v;
                           return {};
                         },
                         .file = true,
                         .max_bytes = protocol::max_template_bytes});
    }
    if (kind == "webhook")
      options.push_back({.name = "secret",
                         .set = [&](std::string_view v) -> Result {
                           if (v.size() < least_signing_key)
                             return expected_form("at least 16 characters");
                           return set_secret(v, spec_.signing_key);
                         },
                         .secret = true,
                         .file = true});
    if (kind != "slack" && kind != "discord" && kind != "teams")
      options.push_back({.name = "token",
                         .set = [&](auto v) { return set_secret(v, token_); },
                         .secret = true,
                         .file = true});
    read_options(node, full, options);
    settle_http(key, full, std::move(body));
  }

  std::vector<Option> http_options() {
    auto options = common_options();
    options.push_back({.name = "url",
                       .set = [&](std::string_view v) -> Result {
                         url_ = split_url(v);
                         if (!url_)
                           return expected_form("a URL such as https://hooks.example.org/x");
                         spec_.url = io::Secret{std::string{v}};
                         return {};
                       },
                       .secret = true,
                       .file = true});
    options.push_back({.name = "headers",
                       .set = [&](auto v) { return set_headers(v, spec_); },
                       .list = ListStyle::lines,
                       .secret = true});
    options.push_back({.name = "proxy",
                       .set = [&](auto v) { return set_proxy(v, spec_, proxy_given_); },
                       .secret = true});
    return options;
  }

  std::vector<Option> common_options() {
    std::vector<Option> options;
    options.push_back(
        {.name = "tls.ca", .set = [&](auto v) { return set_path(v, spec_.ca_file); }});
    options.push_back(
        {.name = "tls.verify", .set = [&](auto v) { return set_bool(v, spec_.verify); }});
    options.push_back({.name = "allow-link-local",
                       .set = [&](auto v) { return set_bool(v, spec_.allow_link_local); }});
    options.push_back({.name = "timeout", .set = [&](std::string_view v) -> Result {
                         const auto time = protocol::parse_duration(v, {1s, 10s});
                         if (!time) return std::unexpected(time.error());
                         spec_.timeout = *time;
                         return {};
                       }});
    return options;
  }

  void settle_http(const YamlNode& key, const std::string& full, std::string body) {
    const std::string& kind = spec_.integration;
    spec_.kind = kind == "slack"                           ? io::ReceiverKind::slack
                 : kind == "alertmanager"                  ? io::ReceiverKind::alertmanager
                 : kind == "webhook" && !given("template") ? io::ReceiverKind::webhook
                                                           : io::ReceiverKind::templated;
    core_.stateful = spec_.kind == io::ReceiverKind::alertmanager;
    if (kind == "slack") spec_.interval = slack_interval;
    need(key, full, "url");
    if (kind == "template") need(key, full, "template");
    if (kind == "gotify") need(key, full, "token");
    if (!url_) return;
    if (!spec_.allow_link_local && protocol::forbidden_host(url_->host)) {
      reader_.error(place("url", key), join_key(full, "url"),
                    "expected a host that is no link-local or metadata address; "
                    "allow-link-local permits it");
    }
    std::vector<std::pair<std::string, std::string>> parameters;
    if (kind == "ntfy") {
      const auto slash = url_->rest.rfind('/');
      const auto topic = slash == std::string::npos ? "" : url_->rest.substr(slash + 1);
      if (topic.empty() || topic.find('?') != std::string::npos) {
        reader_.error(place("url", key), join_key(full, "url"),
                      "expected the topic at its end, such as https://ntfy.example.org/alerts");
        return;
      }
      const auto& whole = spec_.url.reveal();
      spec_.url = io::Secret{whole.substr(0, whole.size() - topic.size())};
      parameters.emplace_back("topic", topic);
    } else if (kind == "gotify") {
      auto whole = spec_.url.reveal();
      while (whole.ends_with('/')) whole.pop_back();
      spec_.url = io::Secret{whole + "/message"};
    }
    if (!token_.empty())
      spec_.headers.emplace_back(
          kind == "gotify" ? "X-Gotify-Key" : "Authorization",
          kind == "gotify" ? token_ : io::Secret{"Bearer " + token_.reveal()});
    settle_template(key, full, std::move(body), std::move(parameters));
    if (!proxy_given_) proxy_of_environment();
    if (!spec_.proxy.empty()) spec_.no_proxy = variable({"no_proxy", "NO_PROXY"});
  }

  void settle_template(const YamlNode& key, const std::string& full, std::string body,
                       std::vector<std::pair<std::string, std::string>> parameters) {
    if (spec_.kind != io::ReceiverKind::templated) return;
    const auto preset = protocol::preset_template(spec_.integration);
    if (preset.empty() && body.empty()) return;  // that it is missing was said
    auto parsed = protocol::AlertTemplate::parse(preset.empty() ? body : std::string{preset},
                                                 std::move(parameters));
    if (parsed) {
      spec_.body = std::move(*parsed);
    } else {
      reader_.error(place("template", key), join_key(full, "template"), parsed.error().message);
    }
  }

  void read_mail(const YamlNode& key, const YamlNode& node, const std::string& full) {
    auto& mail = spec_.mail;
    spec_.kind = io::ReceiverKind::email;
    bool port_given = false;
    bool security_given = false;
    auto options = common_options();
    options.push_back({.name = "to",
                       .set = [&](auto v) { return set_recipients(v, mail.envelope); },
                       .list = ListStyle::comma});
    options.push_back({.name = "from", .set = [&](std::string_view v) -> Result {
                         auto address = protocol::parse_mail_address(v);
                         if (!address) return std::unexpected(address.error());
                         mail.envelope.from = std::move(*address);
                         return {};
                       }});
    options.push_back(
        {.name = "server", .set = [&](auto v) { return set_mail_host(v, mail.host); }});
    options.push_back({.name = "helo", .set = [&](auto v) { return set_mail_host(v, mail.helo); }});
    options.push_back({.name = "port", .set = [&](std::string_view v) -> Result {
                         const auto port = protocol::parse_count(v, 1, 65535);
                         if (!port) return std::unexpected(port.error());
                         mail.port = static_cast<std::uint16_t>(*port);
                         port_given = true;
                         return {};
                       }});
    options.push_back({.name = "security", .set = [&](std::string_view v) -> Result {
                         security_given = true;
                         if (v == "tls")
                           mail.security = io::MailSecurity::tls;
                         else if (v == "starttls")
                           mail.security = io::MailSecurity::starttls;
                         else if (v == "none")
                           mail.security = io::MailSecurity::none;
                         else
                           return expected_form("tls, starttls or none");
                         return {};
                       }});
    options.push_back({.name = "user", .set = [&](std::string_view v) -> Result {
                         io::Secret checked;
                         if (auto good = set_secret(v, checked); !good) return good;
                         mail.user = v;
                         return {};
                       }});
    options.push_back({.name = "password",
                       .set = [&](auto v) { return set_secret(v, mail.password); },
                       .secret = true,
                       .file = true});
    read_options(node, full, options);
    settle_mail(key, full, port_given, security_given);
  }

  void settle_mail(const YamlNode& key, const std::string& full, bool port_given,
                   bool security_given) {
    constexpr std::uint16_t submissions = 465;
    constexpr std::uint16_t submission = 587;
    constexpr std::uint16_t relay = 25;
    auto& mail = spec_.mail;
    for (const auto* needed : {"to", "from", "server"}) need(key, full, needed);
    if (!security_given && port_given && mail.port == submissions)
      mail.security = io::MailSecurity::tls;
    if (!port_given)
      mail.port = mail.security == io::MailSecurity::tls        ? submissions
                  : mail.security == io::MailSecurity::starttls ? submission
                                                                : relay;
    if (mail.user.empty() != mail.password.empty())
      reader_.error(key.at, full, "expected user and password together");
    if (!mail.user.empty() && mail.security == io::MailSecurity::none)
      reader_.error(place("user", key), join_key(full, "user"),
                    "expected with security tls or starttls: a password is not sent in the clear");
    if (!spec_.allow_link_local && !mail.host.empty() && protocol::forbidden_host(mail.host))
      reader_.error(place("server", key), join_key(full, "server"),
                    "expected a host that is no link-local or metadata address; "
                    "allow-link-local permits it");
    std::string helo;
    for (const char c : mail.helo)
      if (protocol::text::is_alpha(c) || protocol::text::is_digit(c) || c == '-' || c == '.')
        helo += c;
    mail.helo = helo.empty() ? "localhost" : helo;
  }

  /// The keys of one kind. KEY_file and KEY exclude each other.
  void read_options(const YamlNode& node, const std::string& full,
                    const std::vector<Option>& options) {
    reader_.each(node, full, [&](const YamlNode& key, const YamlNode& value) {
      const auto at = join_key(full, key.scalar);
      const std::string_view written = key.scalar;
      constexpr std::string_view suffix = "_file";  // or -file
      for (const Option& option : options) {
        const bool from_file = option.file &&
                               (written.ends_with(suffix) || written.ends_with("-file")) &&
                               written.substr(0, written.size() - suffix.size()) == option.name;
        if (!from_file && written != option.name) continue;
        if (const auto [earlier, fresh] = seen_.emplace(option.name, key.at); !fresh) {
          reader_.error(key.at, at,
                        "expected the value or its file, not both; see line " +
                            std::to_string(earlier->second.line));
          return;
        }
        if (from_file) {
          reader_.value(value, at, [&](std::string_view path) { return from(path, option); });
        } else {
          reader_.value(value, at, option.set, {.list = option.list, .secret = option.secret});
        }
        return;
      }
      std::vector<std::string> names;
      for (const Option& option : options) {
        names.emplace_back(option.name);
        if (option.file) names.push_back(std::string{option.name} + std::string{suffix});
      }
      reader_.unknown(key, full, {names.begin(), names.end()});
    });
  }

  static Result from(std::string_view path, const Option& option) {
    const auto content = read_value_file(std::string{path}, option.max_bytes);
    if (!content) return expected_form("a file with the value: " + content.error());
    auto set = option.set(*content);
    // Whose path it is will be shown; whatever is wrong is wrong in the file.
    if (!set) return std::unexpected(Error{"in that file: " + set.error().message});
    return set;
  }

  bool given(std::string_view option) const { return seen_.contains(option); }
  Position place(std::string_view option, const YamlNode& otherwise) const {
    const auto found = seen_.find(option);
    return found == seen_.end() ? otherwise.at : found->second;
  }
  void need(const YamlNode& key, const std::string& full, std::string_view option) {
    if (!given(option)) reader_.error(key.at, join_key(full, option), "expected this key");
  }

  std::string variable(std::initializer_list<const char*> names) const {
    for (const auto* name : names)
      if (auto value = environment_(name); value && !value->empty()) return *value;
    return {};
  }

  void proxy_of_environment() {
    auto proxy = url_->scheme == "https" ? variable({"https_proxy", "HTTPS_PROXY"})
                                         : variable({"http_proxy", "HTTP_PROXY"});
    if (proxy.empty()) proxy = variable({"all_proxy", "ALL_PROXY"});
    bool ignored = false;
    // One that is not understood is somebody else's; what it breaks shows in the sending.
    if (proxy.empty() || set_proxy(proxy, spec_, ignored)) return;
    spec_.proxy = {};
  }

  FileReader& reader_;
  const Environment& environment_;
  std::string prefix_;
  std::map<std::string, Position, std::less<>> seen_;
  std::optional<ReceiverUrl> url_;
  io::Secret token_;
  bool proxy_given_ = false;
};

bool good_name(std::string_view name) {
  constexpr std::size_t longest = 64;
  return !name.empty() && name.size() <= longest && std::ranges::all_of(name, [](char c) {
    return protocol::text::is_alpha(c) || protocol::text::is_digit(c) || c == '-' || c == '_' ||
           c == '.';
  });
}

}  // namespace

void read_receivers(FileReader& reader, const YamlNode& node, const std::string& prefix,
                    const Environment& environment, const std::string& host, AlertReceivers& out) {
  if (node.entries.size() > io::max_receivers) {
    reader.error(node.at, prefix, "expected at most 64 receivers");
    return;
  }
  reader.each(node, prefix, [&](const YamlNode& name, const YamlNode& value) {
    if (!good_name(name.scalar)) {
      reader.error(name.at, join_key(prefix, protocol::one_line(name.scalar, 64)),
                   "expected a name of at most 64 letters, digits, '-', '_' and '.'");
      return;
    }
    ReceiverReader one(reader, environment, host);
    one.read(name, value, prefix);
    out.core.push_back(std::move(one.core_));
    out.io.push_back(std::move(one.spec_));
  });
}

}  // namespace sentinel::app
