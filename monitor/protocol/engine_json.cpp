#include "protocol/engine_json.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "protocol/escape.hpp"

namespace sentinel::protocol {
namespace {

/// Exactly `digits` decimal digits at the front.
std::optional<unsigned> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  unsigned value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

struct Clock {
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
};

std::optional<Clock> take_clock(std::string_view& text) {
  const auto hour = take_number(text, 2);
  if (!hour || *hour > 23 || !take(text, ":")) return std::nullopt;
  const auto minute = take_number(text, 2);
  if (!minute || *minute > 59 || !take(text, ":")) return std::nullopt;
  const auto second = take_number(text, 2);
  if (!second || *second > 60) return std::nullopt;
  return Clock{*hour, *minute, *second};
}

std::optional<std::int64_t> unix_seconds(unsigned year, unsigned month, unsigned day, Clock clock) {
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(year)},
                                         std::chrono::month{month}, std::chrono::day{day}};
  if (year < 1970 || year > 2261 || !date.ok()) return std::nullopt;
  const auto days = std::chrono::sys_days{date}.time_since_epoch().count();
  return std::int64_t{days} * 86'400 + clock.hour * 3'600 + clock.minute * 60 + clock.second;
}

/// Picks four members of each row and keeps nothing else.
class ListVisitor final : public json::Visitor {
 public:
  std::vector<core::ListedContainer> rows;
  std::string problem;

  bool on_null() override { return value(); }
  bool on_bool(bool /*value*/) override { return value(); }
  bool on_integer(std::int64_t /*value*/) override { return value(); }
  bool on_unsigned(std::uint64_t /*value*/) override { return value(); }
  bool on_double(double /*value*/) override { return value(); }
  bool on_string(std::string& text) override {
    const Field field = std::exchange(field_, Field::other);
    if (depth_ == row_depth) {
      if (field == Field::id) id_ = core::ContainerId::parse(text);
      if (field == Field::state) row_.run = parse_run_state(text);
      if (field == Field::status) from_text_ = health_from_status_text(text);
    } else if (depth_ == row_depth + 1 && in_health_ && field == Field::status) {
      from_health_ = parse_health(text);
    }
    return value();
  }
  bool on_key(std::string& key) override {
    field_ = Field::other;
    if (depth_ == row_depth) {
      if (key == "Id") field_ = Field::id;
      if (key == "State") field_ = Field::state;
      if (key == "Status") field_ = Field::status;
      if (key == "Health") field_ = Field::health;
    } else if (depth_ == row_depth + 1 && in_health_ && key == "Status") {
      field_ = Field::status;
    }
    return true;
  }
  bool begin_object() override {
    if (depth_ == 0) return fail("a list that is no array");
    if (depth_ == 1) {
      row_ = {};
      id_.reset();
      from_text_ = core::EngineHealth::none;
      from_health_.reset();
    }
    if (depth_ == row_depth) in_health_ = field_ == Field::health;
    field_ = Field::other;
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    if (depth_ <= row_depth) in_health_ = false;
    if (depth_ != 1) return true;
    if (!id_) return fail("a row without a full id");
    row_.id = *id_;
    row_.health = from_health_.value_or(from_text_);
    rows.push_back(row_);
    return true;
  }
  bool begin_array() override {
    if (depth_ == 1) return fail("a row that is no object");
    field_ = Field::other;
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }

  static core::EngineHealth parse_health(std::string_view text) {
    if (text == "healthy") return core::EngineHealth::healthy;
    if (text == "unhealthy") return core::EngineHealth::unhealthy;
    if (text == "starting") return core::EngineHealth::starting;
    return core::EngineHealth::none;
  }

 private:
  enum class Field : std::uint8_t { other, id, state, status, health };
  static constexpr unsigned row_depth = 2;  // inside the array and the row's object

  bool fail(std::string_view why) {
    problem = why;
    return false;
  }
  bool value() {
    field_ = Field::other;
    if (depth_ == 0) return fail("a list that is no array");
    return depth_ > 1 || fail("a row that is no object");
  }

  unsigned depth_ = 0;
  bool in_health_ = false;
  Field field_ = Field::other;
  core::ListedContainer row_;
  std::optional<core::ContainerId> id_;
  core::EngineHealth from_text_ = core::EngineHealth::none;
  std::optional<core::EngineHealth> from_health_;
};

}  // namespace

std::string ApiVersion::to_string() const {
  return std::to_string(major) + "." + std::to_string(minor);
}

std::optional<ApiVersion> parse_api_version(std::string_view text) {
  ApiVersion version;
  const char* const end = text.data() + text.size();
  const auto [dot, first_error] = std::from_chars(text.data(), end, version.major);
  if (first_error != std::errc{} || dot == end || *dot != '.' || version.major > 100)
    return std::nullopt;
  const auto [stop, second_error] = std::from_chars(dot + 1, end, version.minor);
  if (second_error != std::errc{} || stop != end || version.minor > 10'000) return std::nullopt;
  return version;
}

std::expected<EngineVersion, Error> parse_version(std::string_view text) {
  auto root = json::parse(text, small_limits, {"Version", "ApiVersion", "MinAPIVersion"});
  if (!root) return std::unexpected(Error{"GET /version: " + root.error().message});
  const auto highest = parse_api_version((*root)["ApiVersion"].text());
  if (!highest)
    return std::unexpected(
        Error{"GET /version: no ApiVersion in the answer; is this a container Engine?"});
  EngineVersion version;
  version.engine = one_line((*root)["Version"].text(), 64);
  version.highest = *highest;
  version.lowest = parse_api_version((*root)["MinAPIVersion"].text()).value_or(ApiVersion{1, 24});
  return version;
}

std::expected<ApiVersion, Error> negotiate(const EngineVersion& engine) {
  const ApiVersion best = std::min(highest_api, engine.highest);
  if (best < lowest_api || best < engine.lowest) {
    return std::unexpected(Error{"Engine " + engine.engine + " speaks API " +
                                 engine.lowest.to_string() + " to " + engine.highest.to_string() +
                                 ", Sentinel needs " + lowest_api.to_string() + " to " +
                                 highest_api.to_string()});
  }
  return best;
}

std::string error_message(std::string_view body) {
  constexpr std::size_t most = 300;
  if (const auto root = json::parse(body, small_limits);
      root && !(*root)["message"].text().empty()) {
    return one_line((*root)["message"].text(), most);
  }
  return one_line(body.substr(0, 4 * most), most);
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  const auto year = take_number(text, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  const auto month = take_number(text, 2);
  if (!month || !take(text, "-")) return std::nullopt;
  const auto day = take_number(text, 2);
  if (!day || (!take(text, "T") && !take(text, "t"))) return std::nullopt;
  const auto clock = take_clock(text);
  if (!clock) return std::nullopt;
  const auto seconds = unix_seconds(*year, *month, *day, *clock);
  if (!seconds) return std::nullopt;
  std::int64_t nanoseconds = 0;
  if (take(text, ".")) {
    std::int64_t scale = 100'000'000;
    std::size_t digits = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
      if (++digits > 9) return std::nullopt;
      nanoseconds += (text.front() - '0') * scale;
      scale /= 10;
      text.remove_prefix(1);
    }
    if (digits == 0) return std::nullopt;
  }
  std::int64_t offset = 0;
  if (!take(text, "Z") && !take(text, "z")) {
    const bool east = text.starts_with('+');
    if (!east && !text.starts_with('-')) return std::nullopt;
    text.remove_prefix(1);
    const auto hours = take_number(text, 2);
    if (!hours || *hours > 23 || !take(text, ":")) return std::nullopt;
    const auto minutes = take_number(text, 2);
    if (!minutes || *minutes > 59) return std::nullopt;
    offset = std::int64_t{*hours} * 3'600 + *minutes * 60;
    if (!east) offset = -offset;
  }
  if (!text.empty()) return std::nullopt;
  const std::int64_t utc = *seconds - offset;
  return utc < 0 ? std::nullopt : std::optional(utc * 1'000'000'000 + nanoseconds);
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 29 || text.substr(3, 2) != ", ") return std::nullopt;
  text.remove_prefix(5);
  const auto day = take_number(text, 2);
  if (!day || !take(text, " ")) return std::nullopt;
  const auto month = std::ranges::find(months, text.substr(0, 3));
  text.remove_prefix(3);
  if (month == months.end() || !take(text, " ")) return std::nullopt;
  const auto year = take_number(text, 4);
  if (!year || !take(text, " ")) return std::nullopt;
  const auto clock = take_clock(text);
  if (!clock || text != " GMT") return std::nullopt;
  return unix_seconds(*year, static_cast<unsigned>(month - months.begin()) + 1, *day, *clock);
}

std::int64_t engine_clock(std::int64_t our_clock_ns, std::string_view date_header) {
  const auto date = parse_http_date(date_header);
  if (!date) return our_clock_ns;
  const std::int64_t ours = our_clock_ns / 1'000'000'000;
  return *date >= ours - 2 && *date <= ours + 2 ? our_clock_ns : *date * 1'000'000'000;
}

core::RunState parse_run_state(std::string_view text) {
  using enum core::RunState;
  if (text == "running") return running;
  if (text == "paused") return paused;
  if (text == "restarting") return restarting;
  if (text == "removing") return removing;
  if (text == "exited") return exited;
  if (text == "dead") return dead;
  return created;
}

core::EngineHealth health_from_status_text(std::string_view text) {
  using enum core::EngineHealth;
  if (text.ends_with("(healthy)")) return healthy;
  if (text.ends_with("(unhealthy)")) return unhealthy;
  if (text.ends_with("(health: starting)")) return starting;
  return none;
}

std::expected<std::vector<core::ListedContainer>, Error> parse_list(std::string_view text) {
  ListVisitor visitor;
  const auto done = json::scan(text, visitor, list_limits);
  if (!done) {
    return std::unexpected(Error{
        "container list: " + (visitor.problem.empty() ? done.error().message : visitor.problem)});
  }
  return std::move(visitor.rows);
}

}  // namespace sentinel::protocol
