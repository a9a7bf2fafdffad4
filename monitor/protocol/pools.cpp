#include "protocol/pools.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "protocol/engine_json.hpp"
#include "protocol/escape.hpp"
#include "protocol/json.hpp"

namespace sentinel::protocol {

namespace {

using json::Value;

constexpr json::Limits limits{
    .max_bytes = max_reported_body, .max_depth = 8, .max_values = 100'000};
constexpr std::int64_t most_weight = 1'000'000;
constexpr std::int64_t most_slots = 65'536;
constexpr double most_seconds = 1e9;
constexpr WallMs same_moment = 100;

constexpr std::array pool_states{core::PoolState::pending,    core::PoolState::up,
                                 core::PoolState::degraded,   core::PoolState::backup,
                                 core::PoolState::last_known, core::PoolState::down};
constexpr std::array schedules{core::Schedule::round_robin, core::Schedule::weighted,
                               core::Schedule::source_hash, core::Schedule::sticky};
constexpr std::array roles{core::Role::active, core::Role::backup};

/// Takes fields of one object; the first that is not as it should be is kept as the problem.
class Fields {
 public:
  Fields(const Value& object, std::string& problem) : object_(object), problem_(problem) {
    if (!object.is_object()) refuse("an entry", "an object");
  }

  bool good() const { return problem_.empty(); }

  std::string name(std::string_view key) {
    const auto given = object_[key].text();
    if (!is_reportable_name(given)) refuse(key, "a name");
    return std::string{given};
  }

  std::string text(std::string_view key) {
    const Value& value = object_[key];
    if (!value.is_null() && !value.is_string()) refuse(key, "a text");
    return one_line(value.text(), max_reported_text);
  }

  template <typename Enum, std::size_t Count>
  Enum word(std::string_view key, const std::array<Enum, Count>& words) {
    const auto given = object_[key].text();
    const auto found =
        std::ranges::find_if(words, [given](Enum one) { return to_string(one) == given; });
    if (found != words.end()) return *found;
    refuse(key, "another word than `" + one_line(given, 32) + "`");
    return words.front();
  }

  core::L4 transport(std::string_view key) {
    const auto given = object_[key].text();
    if (given != "tcp" && given != "udp") refuse(key, "tcp or udp");
    return given == "udp" ? core::L4::udp : core::L4::tcp;
  }

  bool flag(std::string_view key, bool unless_given) {
    if (object_[key].is_null()) return unless_given;
    const auto given = object_[key].boolean();
    if (!given) refuse(key, "true or false");
    return given.value_or(unless_given);
  }

  std::int64_t number(std::string_view key, std::int64_t most) {
    const auto given = object_[key].integer(0, most);
    if (!given) refuse(key, "a number up to " + std::to_string(most));
    return given.value_or(0);
  }

  std::optional<std::int64_t> number_or_null(std::string_view key, std::int64_t most) {
    if (object_[key].is_null()) return std::nullopt;
    return number(key, most);
  }

  double fraction(std::string_view key, double unless_given, double most) {
    if (object_[key].is_null()) return unless_given;
    const auto given = object_[key].number();
    if (given && std::isfinite(*given) && *given >= 0 && *given <= most) return *given;
    refuse(key, "a number that is not negative");
    return unless_given;
  }

  std::optional<WallMs> time(std::string_view key) {
    if (object_[key].is_null()) return std::nullopt;
    const auto given = parse_rfc3339(object_[key].text());
    if (!given) {
      refuse(key, "a time");
      return std::nullopt;
    }
    return *given / 1'000'000;
  }

  core::IpAddress address(std::string_view key, const Value& value) {
    const auto given = core::IpAddress::parse(value.text());
    if (!given) refuse(key, "addresses");
    return given.value_or(core::IpAddress{});
  }

  const json::Array& list(std::string_view key, std::size_t most) {
    const Value& value = object_[key];
    if (!value.is_array() || value.array().size() > most) {
      refuse(key, "a list of at most " + std::to_string(most));
      static const json::Array none;
      return none;
    }
    return value.array();
  }

  const Value& operator[](std::string_view key) const { return object_[key]; }

 private:
  void refuse(std::string_view key, const std::string& expected) {
    if (problem_.empty()) problem_ = std::string{key} + ": expected " + expected;
  }

  const Value& object_;
  std::string& problem_;
};

ReportedDrain read_drain(const Value& value, std::string& problem) {
  Fields fields{value, problem};
  ReportedDrain drain;
  drain.by = fields.text("by");
  drain.since = fields.time("since");
  drain.until = fields.time("until");
  drain.deadline = fields.time("deadline");
  drain.finished = fields.flag("finished", false);
  return drain;
}

ReportedServer read_server(const Value& value, std::string& problem) {
  Fields fields{value, problem};
  ReportedServer server;
  server.name = fields.name("name");
  server.state = fields.word("state", core::all_server_states);
  server.reason = fields.text("reason");
  server.since = fields.time("since");
  server.in_use = fields.flag("in_use", false);
  server.kept = fields.flag("kept", false);
  for (const Value& address : fields.list("addresses", max_reported_addresses))
    server.addresses.push_back(fields.address("addresses", address));
  if (const auto port = fields.number_or_null("port", 65'535))
    server.port = static_cast<unsigned>(*port);
  server.weight = static_cast<unsigned>(fields.number("weight", most_weight));
  server.role = fields.word("role", roles);
  server.share = fields.fraction("share", 1.0, 1.0);
  server.slots = static_cast<unsigned>(fields.number("slots", most_slots));
  if (const auto flows = fields.number_or_null("flows", INT64_C(1) << 53U))
    server.flows = static_cast<std::uint64_t>(*flows);
  server.hold_down_seconds = fields.fraction("hold_down_seconds", 0, most_seconds);
  if (!fields["drain"].is_null()) server.drain = read_drain(fields["drain"], problem);
  return server;
}

ReportedPool read_pool(const Value& value, std::string& problem) {
  Fields fields{value, problem};
  ReportedPool pool;
  pool.name = fields.name("name");
  pool.state = fields.word("state", pool_states);
  for (const Value& one : fields.list("listen", max_reported_listeners)) {
    Fields listener{one, problem};
    ReportedListener read;
    read.address = listener.address("address", listener["address"]);
    read.protocol = listener.transport("protocol");
    read.port = static_cast<unsigned>(listener.number("port", 65'535));
    pool.listen.push_back(read);
    if (!fields.good()) return pool;
  }
  pool.schedule = fields.word("schedule", schedules);
  pool.slots = static_cast<unsigned>(fields.number("slots", most_slots));
  std::set<std::string_view> names;
  const auto& servers = fields.list("servers", max_reported_servers);
  pool.servers.reserve(servers.size());
  for (const Value& one : servers) {
    pool.servers.push_back(read_server(one, problem));
    if (!fields.good()) return pool;
    if (!names.insert(pool.servers.back().name).second) problem = "servers: one comes twice";
  }
  return pool;
}

void settle(std::optional<WallMs>& fresh, const std::optional<WallMs>& before) {
  if (fresh && before && std::max(*fresh, *before) - std::min(*fresh, *before) <= same_moment)
    fresh = before;
}

}  // namespace

std::expected<std::vector<ReportedPool>, Error> parse_pools(std::string_view body) {
  const auto json = json::parse(body, limits, {"pools"});
  if (!json) return std::unexpected(json.error());
  std::string problem;
  Fields fields{*json, problem};
  std::vector<ReportedPool> pools;
  std::size_t servers = 0;
  std::set<std::string, std::less<>> names;
  for (const Value& one : fields.list("pools", max_reported_pools)) {
    pools.push_back(read_pool(one, problem));
    servers += pools.back().servers.size();
    if (fields.good() && !names.insert(pools.back().name).second)
      problem = "pools: one comes twice";
    if (fields.good() && servers > max_reported_servers)
      problem =
          "servers: expected at most " + std::to_string(max_reported_servers) + " of all pools";
    if (!fields.good()) break;
  }
  if (!problem.empty()) return std::unexpected(Error{std::move(problem)});
  return pools;
}

void settle_times(ReportedPool& fresh, const ReportedPool& before) {
  for (ReportedServer& server : fresh.servers) {
    const auto known = std::ranges::find(before.servers, server.name, &ReportedServer::name);
    if (known == before.servers.end()) continue;
    settle(server.since, known->since);
    if (!server.drain || !known->drain) continue;
    settle(server.drain->since, known->drain->since);
    settle(server.drain->until, known->drain->until);
    settle(server.drain->deadline, known->drain->deadline);
  }
}

bool is_reportable_name(std::string_view name) {
  return !name.empty() && name.size() <= max_reported_name &&
         one_line(name, 4 * max_reported_name) == name;
}

std::string problem_text(std::string_view body) {
  const auto json = json::parse(body, {.max_bytes = 65'536, .max_depth = 8, .max_values = 1000},
                                {"detail", "title"});
  if (!json) return {};
  const auto detail = (*json)["detail"].text();
  return one_line(detail.empty() ? (*json)["title"].text() : detail, max_reported_text);
}

}  // namespace sentinel::protocol
