#pragma once

// JSON from outside, without exceptions and within limits; and the little writing that needs no
// library.
//
// Two ways to read: scan() reports each value to a visitor and keeps nothing (lists of hundreds of
// containers), parse() builds a small tree (one inspect, one event, one probe's answer). Both
// refuse nesting beyond `max_depth` and more than `max_values` values, and take a number that fits
// neither int64 nor uint64 nor double as malformed. Text must be UTF-8.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/error.hpp"

namespace sentinel::protocol::json {

struct Limits {
  std::size_t max_bytes = std::size_t{4} << 20U;
  std::size_t max_depth = 64;
  std::size_t max_values = 200'000;
};

/// Told of each value in order of the text. Returning false ends the scan as "unexpected
/// structure".
class Visitor {
 public:
  Visitor() = default;
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;
  virtual ~Visitor() = default;
  virtual bool on_null() = 0;
  virtual bool on_bool(bool value) = 0;
  virtual bool on_integer(std::int64_t value) = 0;
  /// Above the range of int64 only.
  virtual bool on_unsigned(std::uint64_t value) = 0;
  virtual bool on_double(double value) = 0;
  /// May be moved from.
  virtual bool on_string(std::string& value) = 0;
  virtual bool on_key(std::string& key) = 0;
  virtual bool begin_object() = 0;
  virtual bool end_object() = 0;
  virtual bool begin_array() = 0;
  virtual bool end_array() = 0;
};

/// The whole text must be one JSON value.
std::expected<void, Error> scan(std::string_view text, Visitor& visitor, const Limits& limits = {});

class Value;
using Array = std::vector<Value>;
using Member = std::pair<std::string, Value>;
using Object = std::vector<Member>;  // in order of the text; of equal keys the first counts, the
                                     // others are dropped

/// Reading never fails: a missing key or another type gives null, an empty value or nullopt.
class Value {
 public:
  Value() = default;
  template <class T>
    requires(!std::same_as<std::remove_cvref_t<T>, Value>)
  explicit Value(T&& value) : data_(std::forward<T>(value)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_object() const { return std::holds_alternative<Object>(data_); }
  bool is_array() const { return std::holds_alternative<Array>(data_); }
  bool is_string() const { return std::holds_alternative<std::string>(data_); }

  /// Member of an object, else a null value that lives for ever.
  const Value& operator[](std::string_view key) const;
  const Array& array() const;
  const Object& object() const;
  /// Empty when it is no string.
  std::string_view text() const;
  std::optional<bool> boolean() const;
  /// An integer, or a double without fraction up to 2^53, inside [min, max].
  std::optional<std::int64_t> integer(std::int64_t min = INT64_MIN,
                                      std::int64_t max = INT64_MAX) const;
  std::optional<double> number() const;

 private:
  friend class Builder;
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Array,
               Object>
      data_;
};

/// With `keep`, members of the outermost object that it does not name are checked but not kept.
std::expected<Value, Error> parse(std::string_view text, const Limits& limits = {},
                                  std::vector<std::string_view> keep = {});

/// A JSON string with its quotes; ill-formed UTF-8 becomes U+FFFD.
std::string quote(std::string_view text);

}  // namespace sentinel::protocol::json
