#include "protocol/json.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace sentinel::protocol::json {
namespace {

/// Between the library's parser, which is iterative, and our visitor: enforces the limits.
class Limiter {
 public:
  using Json = nlohmann::json;

  Limiter(Visitor& visitor, const Limits& limits) : visitor_(visitor), limits_(limits) {}

  bool null() { return count() && visit(visitor_.on_null()); }
  bool boolean(bool value) { return count() && visit(visitor_.on_bool(value)); }
  bool number_integer(Json::number_integer_t value) {
    return count() && visit(visitor_.on_integer(value));
  }
  bool number_unsigned(Json::number_unsigned_t value) {
    if (!count()) return false;
    if (value <= static_cast<std::uint64_t>(INT64_MAX))
      return visit(visitor_.on_integer(static_cast<std::int64_t>(value)));
    return visit(visitor_.on_unsigned(value));
  }
  bool number_float(Json::number_float_t value, const std::string& /*text*/) {
    return count() && visit(visitor_.on_double(value));
  }
  bool string(std::string& value) { return count() && visit(visitor_.on_string(value)); }
  bool binary(Json::binary_t& /*value*/) { return fail("binary value"); }
  bool key(std::string& value) { return visit(visitor_.on_key(value)); }
  bool start_object(std::size_t /*size*/) {
    return count() && enter() && visit(visitor_.begin_object());
  }
  bool end_object() { return leave() && visit(visitor_.end_object()); }
  bool start_array(std::size_t /*size*/) {
    return count() && enter() && visit(visitor_.begin_array());
  }
  bool end_array() { return leave() && visit(visitor_.end_array()); }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const Json::exception& /*error*/) {
    return fail("malformed JSON at byte " + std::to_string(position));
  }

  std::string take_error() { return std::move(error_); }

 private:
  bool fail(std::string why) {
    if (error_.empty()) error_ = std::move(why);
    return false;
  }
  bool visit(bool accepted) { return accepted || fail("JSON of an unexpected structure"); }
  bool count() {
    return ++values_ <= limits_.max_values ||
           fail("JSON with more than " + std::to_string(limits_.max_values) + " values");
  }
  bool enter() {
    return ++depth_ <= limits_.max_depth ||
           fail("JSON nested deeper than " + std::to_string(limits_.max_depth));
  }
  bool leave() {
    --depth_;
    return true;
  }

  Visitor& visitor_;
  const Limits& limits_;
  std::size_t values_ = 0;
  std::size_t depth_ = 0;
  std::string error_;
};

const Value null_value;
const Array empty_array;
const Object empty_object;

}  // namespace

std::expected<void, Error> scan(std::string_view text, Visitor& visitor, const Limits& limits) {
  if (text.size() > limits.max_bytes) {
    return std::unexpected(
        Error{"JSON of more than " + std::to_string(limits.max_bytes) + " bytes"});
  }
  Limiter limiter(visitor, limits);
  if (nlohmann::json::sax_parse(text.begin(), text.end(), &limiter)) return {};
  std::string why = limiter.take_error();
  return std::unexpected(Error{why.empty() ? std::string("malformed JSON") : std::move(why)});
}

const Value& Value::operator[](std::string_view key) const {
  for (const Member& member : object()) {
    if (member.first == key) return member.second;
  }
  return null_value;
}

const Array& Value::array() const {
  const auto* value = std::get_if<Array>(&data_);
  return value != nullptr ? *value : empty_array;
}

const Object& Value::object() const {
  const auto* value = std::get_if<Object>(&data_);
  return value != nullptr ? *value : empty_object;
}

std::string_view Value::text() const {
  const auto* value = std::get_if<std::string>(&data_);
  return value != nullptr ? std::string_view(*value) : std::string_view{};
}

std::optional<bool> Value::boolean() const {
  const auto* value = std::get_if<bool>(&data_);
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<std::int64_t> Value::integer(std::int64_t min, std::int64_t max) const {
  std::int64_t result = 0;
  if (const auto* whole = std::get_if<std::int64_t>(&data_)) {
    result = *whole;
  } else if (const auto* real = std::get_if<double>(&data_)) {
    // Beyond 2^53 a double may have been rounded from another integer.
    constexpr double bound = 9007199254740992.0;
    if (!(*real >= -bound && *real <= bound) || std::trunc(*real) != *real) return std::nullopt;
    result = static_cast<std::int64_t>(*real);
  } else {
    return std::nullopt;
  }
  return result >= min && result <= max ? std::optional(result) : std::nullopt;
}

std::optional<double> Value::number() const {
  if (const auto* whole = std::get_if<std::int64_t>(&data_)) return static_cast<double>(*whole);
  if (const auto* large = std::get_if<std::uint64_t>(&data_)) return static_cast<double>(*large);
  if (const auto* real = std::get_if<double>(&data_)) return *real;
  return std::nullopt;
}

/// Builds a tree; what is not kept is seen by the limits only.
class Builder final : public Visitor {
 public:
  Builder(Value& root, const std::vector<std::string_view>& keep) : root_(root), keep_(keep) {}

  bool on_null() override { return put(Value()); }
  bool on_bool(bool value) override { return put(Value(value)); }
  bool on_integer(std::int64_t value) override { return put(Value(value)); }
  bool on_unsigned(std::uint64_t value) override { return put(Value(value)); }
  bool on_double(double value) override { return put(Value(value)); }
  bool on_string(std::string& value) override {
    return skipping() ? put(Value()) : put(Value(std::move(value)));
  }
  bool on_key(std::string& key) override {
    if (skip_depth_ > 0) return true;
    skip_next_ =
        stack_.size() == 1 && !keep_.empty() && std::ranges::find(keep_, key) == keep_.end();
    const Object& object = std::get<Object>(stack_.back()->data_);
    // Quadratic only up to a bound: an object with more members than this is not searched for
    // duplicates, and reading takes the first of them all the same.
    if (object.size() < 512 && std::ranges::find(object, key, &Member::first) != object.end())
      skip_next_ = true;
    if (!skip_next_) key_ = std::move(key);
    return true;
  }
  bool begin_object() override { return begin(Object()); }
  bool end_object() override { return end(); }
  bool begin_array() override { return begin(Array()); }
  bool end_array() override { return end(); }

 private:
  bool skipping() const { return skip_depth_ > 0 || skip_next_; }

  Value* place(Value value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Value& parent = *stack_.back();
    if (auto* array = std::get_if<Array>(&parent.data_))
      return &array->emplace_back(std::move(value));
    return &std::get<Object>(parent.data_).emplace_back(std::move(key_), std::move(value)).second;
  }
  bool put(Value value) {
    if (skip_depth_ > 0) return true;
    if (skip_next_) {
      skip_next_ = false;
      return true;
    }
    place(std::move(value));
    return true;
  }
  template <class T>
  bool begin(T empty) {
    if (skipping()) {
      skip_next_ = false;
      ++skip_depth_;
      return true;
    }
    stack_.push_back(place(Value(std::move(empty))));
    return true;
  }
  bool end() {
    if (skip_depth_ > 0) {
      --skip_depth_;
    } else {
      stack_.pop_back();
    }
    return true;
  }

  Value& root_;
  const std::vector<std::string_view>& keep_;
  std::vector<Value*>
      stack_;  // a parent does not grow while a child of it is open, so these stay valid
  std::string key_;
  std::size_t skip_depth_ = 0;
  bool skip_next_ = false;
};

std::expected<Value, Error> parse(std::string_view text, const Limits& limits,
                                  std::vector<std::string_view> keep) {
  Value root;
  Builder builder(root, keep);
  auto done = scan(text, builder, limits);
  if (!done) return std::unexpected(std::move(done.error()));
  return root;
}

std::string quote(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sentinel::protocol::json
