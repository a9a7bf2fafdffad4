#pragma once

// Prometheus text format 0.0.4, appended to a string. Families that repeat for every service go
// through here: the library's serializer takes some 5 us a series, which with 2,000 services holds
// up the loop for most of a second.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sentinel::observe {

class Distribution;

enum class SeriesType : std::uint8_t { counter, gauge, histogram };

/// Appends `key="value"`, after a comma unless `labels` is empty. The value is escaped as the
/// format asks; it has to be valid UTF-8.
void append_label(std::string& labels, std::string_view key, std::string_view value);

class SeriesWriter {
 public:
  explicit SeriesWriter(std::string& out) : out_{out} {}

  /// What follows belongs to this family; one without samples leaves no trace. The texts must live
  /// until the next family begins.
  void family(std::string_view name, std::string_view help, SeriesType type);

  /// `labels` as made by append_label, empty for none.
  void sample(std::string_view labels, double value);
  /// With one more label, whose value needs no escaping.
  void sample(std::string_view labels, std::string_view key, std::string_view value, double figure);
  void sample(std::string_view labels, const Distribution& distribution);
  /// `buckets` has one more than `bounds`, for what lies above; not cumulative.
  void sample(std::string_view labels, std::span<const double> bounds,
              std::span<const std::uint64_t> buckets, double sum);

 private:
  void begin(std::string_view suffix);
  void bucket(std::string_view labels, std::string_view bound, std::uint64_t cumulative);
  void sum_and_count(std::string_view labels, double sum, std::uint64_t count);
  void finish(std::string_view labels, double value);
  void number(double value);

  std::string& out_;
  std::string_view name_;
  std::string_view help_;
  SeriesType type_ = SeriesType::gauge;
  bool begun_ = false;
};

}  // namespace sentinel::observe
