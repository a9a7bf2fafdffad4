#pragma once

#include "faults.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sentinel::demo {

/// What one request asks for, as far as the answer depends on it.
struct Request {
  std::string_view method;
  std::string_view target;     ///< origin form: path and query
  std::string_view host;       ///< the Host field
  std::string_view origin;     ///< the Origin field, empty when there is none
  std::size_t body_bytes = 0;  ///< length of the body, which nothing here reads
};

/// What the process has to do once the answer is on its way.
enum class FollowUp { none, crash, exit, refuse, leak, release };

struct Reply {
  unsigned status = 200;
  std::string content_type{};
  std::string body{};
  std::string allow{};                 ///< the Allow field of a 405
  std::chrono::milliseconds delay{0};  ///< how long to hold the answer back
  FollowUp follow_up = FollowUp::none;
  int exit_code = 0;         ///< for FollowUp::exit
  std::size_t leak_mib = 0;  ///< for FollowUp::leak
  std::string_view route{};  ///< a name from a small set, for metric labels
  std::string log{};         ///< a sentence when the request changed something, else empty
};

/// What other parts know and a page shows.
struct Facts {
  std::size_t leaked_mib = 0;
  std::size_t connections = 0;
};

/// Both clocks at one instant: the monotonic one decides, the other is shown.
struct Instant {
  std::chrono::steady_clock::time_point steady;
  std::chrono::system_clock::time_point wall;

  [[nodiscard]] static Instant current() {
    return {std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
  }
};

struct AppSettings {
  std::string name;  ///< the instance's name, at most 63 printable characters
  std::string version;
  std::size_t leak_cap_mib = 512;                          ///< memory that `leak` may hold in all
  std::optional<std::chrono::milliseconds> unhealthy_for;  ///< from the start; 0 is for ever
};

/// The service without its sockets: routes, failure simulation and what each answer says.
///
///   GET  /                      who answers, as text
///   GET  /health                application/health+json: 200 pass or warn, 503 fail
///                               (draft-inadarei-api-health-check-06)
///   POST /simulate/FAULT        turns a fault on; every one takes for=DURATION
///   POST /simulate/recover      turns all of them off
///   POST /simulate/crash        aborts the process
///   POST /simulate/exit?code=N  ends the process with a status of 0 to 255
///
/// HEAD works wherever GET does. Errors are RFC 9457 problem documents which name the parameter.
/// `/metrics` belongs to the server, which knows the registry.
class App {
 public:
  static constexpr std::chrono::milliseconds longest_delay = std::chrono::minutes{1};
  static constexpr std::chrono::milliseconds shortest_period{100};
  static constexpr std::chrono::milliseconds longest_period = std::chrono::hours{1};

  App(AppSettings settings, Instant now);

  [[nodiscard]] Reply handle(const Request& request, const Facts& facts, Instant now);

  [[nodiscard]] const Faults& faults() const { return faults_; }

  /// Turns off the faults whose time is over and names them.
  std::vector<Fault> expire(Instant now) { return faults_.expire(now.steady); }

  [[nodiscard]] const AppSettings& settings() const { return settings_; }

 private:
  [[nodiscard]] Reply home(const Facts& facts, Instant now) const;
  [[nodiscard]] Reply health(const Facts& facts, Instant now) const;
  [[nodiscard]] Reply simulate(std::string_view mode, std::string_view query, const Facts& facts,
                               Instant now);

  AppSettings settings_;
  Instant started_;
  Faults faults_;
};

/// A problem document (RFC 9457). `parameter` and `expected` are left out when empty.
[[nodiscard]] Reply problem(unsigned status, std::string_view detail,
                            std::string_view parameter = {}, std::string_view expected = {});

/// The instant as RFC 3339 in UTC with milliseconds.
[[nodiscard]] std::string rfc3339(std::chrono::system_clock::time_point time);

}  // namespace sentinel::demo
