#include "app/client_tools.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "app/command_line.hpp"
#include "observe/text.hpp"
#include "protocol/alert_escape.hpp"

namespace sentinel::app {

namespace {

constexpr std::size_t max_shown = 400;

}  // namespace

void print(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
}
void print_line(std::string text) {
  text += '\n';
  print(stdout, text);
}
int complain(std::string_view text) {
  print(stderr, "sentinel: " + observe::one_line(text, 1000) + "\n");
  return exit_failed;
}

std::string safe(std::string_view text) { return observe::one_line(text, max_shown); }

std::string encode(std::string_view text) {
  return protocol::escape_markup(text, protocol::Markup::url);
}

std::string process_of(std::string_view socket) {
  return socket.ends_with("/failover.sock") ? "failover" : "monitor";
}

std::expected<std::string, std::string> body_of(const std::string& socket,
                                                std::expected<io::LocalReply, io::Error> reply) {
  if (!reply) {
    return std::unexpected("the " + process_of(socket) + " does not answer on " + socket + ": " +
                           reply.error().text +
                           "; is it running, and is this the right --run-dir?");
  }
  if (reply->status >= 200 && reply->status < 300) return std::move(reply->body);
  const auto problem = protocol::json::parse(reply->body);
  const std::string_view detail = problem ? (*problem)["detail"].text() : std::string_view{};
  if (!detail.empty()) return std::unexpected(std::string{detail});
  return std::unexpected("the " + process_of(socket) + " answered with status " +
                         std::to_string(reply->status));
}

std::string who() {
  // The environment is only read, and by one thread.
  if (const char* sudo = std::getenv("SUDO_USER"))  // NOLINT(concurrency-mt-unsafe)
    return sudo;
  std::array<char, 4096> buffer{};
  ::passwd entry{};
  ::passwd* found = nullptr;
  if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr)
    return found->pw_name;
  return "uid " + std::to_string(::getuid());
}

std::expected<std::string, std::string> get(const std::string& socket, const std::string& target) {
  const auto client = io::LocalClient::to(socket);
  if (!client) return std::unexpected(client.error().text);
  return body_of(socket, client->get(target));
}

std::expected<Value, std::string> get_json(const std::string& socket, const std::string& target) {
  auto body = get(socket, target);
  if (!body) return std::unexpected(std::move(body.error()));
  protocol::json::Limits limits;
  limits.max_bytes = std::size_t{16} << 20U;
  limits.max_values = 2'000'000;
  auto value = protocol::json::parse(*body, limits);
  if (!value) return std::unexpected("the answer is no JSON: " + value.error().message);
  return std::move(*value);
}

int change(const std::string& socket, const std::string& target, const std::string& body,
           const std::string& done) {
  const auto client = io::LocalClient::to(socket);
  if (!client) return complain(client.error().text);
  const auto reply = body_of(socket, client->post(target, body));
  if (!reply) return complain(reply.error());
  const auto answer = protocol::json::parse(*reply);
  const std::string text = answer ? safe((*answer)["text"].text()) : std::string{};
  print_line(text.empty() ? done : text);
  return exit_done;
}

std::string age(const Value& seconds) {
  const double s = std::clamp(seconds.number().value_or(0), 0.0, 1e9);
  return observe::human(
      std::chrono::duration_cast<core::Duration>(std::chrono::duration<double>(s)));
}

namespace {

/// Columns in code points: names outside of ASCII still line up.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width(row[i]) + 2, ' ');
    }
    print_line(std::move(line));
  }
}

void print_fact(std::string_view name, const std::string& value) {
  if (value.empty()) return;
  std::string line{name};
  line += ':';
  line.append(line.size() < 14 ? 14 - line.size() : 1, ' ');
  print_line(line + value);
}

}  // namespace sentinel::app
