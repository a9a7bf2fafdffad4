#include "observe/series_writer.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "observe/distribution.hpp"

namespace sentinel::observe {

namespace {

/// Shortest text that reads back as the same number.
using NumberText = std::array<char, 32>;

std::string_view text_of(double value, NumberText& buffer) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Inf" : "+Inf";
  char* const begin = buffer.data();
  char* const end = begin + buffer.size();
  const double size = std::abs(value);
  // Most are counts, for which whole numbers are several times as fast.
  if (size < 1e15 && std::trunc(value) == value)
    return {begin, std::to_chars(begin, end, static_cast<std::int64_t>(value)).ptr};
  // A bound is a label: 0.0005 must not become 5e-04. Beyond these sizes fixed notation is long.
  const auto form =
      size >= 1e-6 && size < 1e15 ? std::chars_format::fixed : std::chars_format::scientific;
  return {begin, std::to_chars(begin, end, value, form).ptr};
}

}  // namespace

void append_label(std::string& labels, std::string_view key, std::string_view value) {
  if (!labels.empty()) labels += ',';
  labels += key;
  labels += "=\"";
  for (const char c : value) {
    switch (c) {
      case '\\': labels += "\\\\"; break;
      case '"': labels += "\\\""; break;
      case '\n': labels += "\\n"; break;
      default: labels += c;
    }
  }
  labels += '"';
}

void SeriesWriter::family(std::string_view name, std::string_view help, SeriesType type) {
  name_ = name;
  help_ = help;
  type_ = type;
  begun_ = false;
}

void SeriesWriter::begin(std::string_view suffix) {
  if (!begun_) {
    begun_ = true;
    out_ += "# HELP ";
    out_ += name_;
    out_ += ' ';
    out_ += help_;
    out_ += "\n# TYPE ";
    out_ += name_;
    switch (type_) {
      case SeriesType::counter: out_ += " counter\n"; break;
      case SeriesType::gauge: out_ += " gauge\n"; break;
      case SeriesType::histogram: out_ += " histogram\n"; break;
    }
  }
  out_ += name_;
  out_ += suffix;
}

void SeriesWriter::number(double value) {
  NumberText buffer;
  out_ += text_of(value, buffer);
  out_ += '\n';
}

void SeriesWriter::finish(std::string_view labels, double value) {
  if (!labels.empty()) {
    out_ += '{';
    out_ += labels;
    out_ += '}';
  }
  out_ += ' ';
  number(value);
}

void SeriesWriter::sample(std::string_view labels, double value) {
  begin({});
  finish(labels, value);
}

void SeriesWriter::sample(std::string_view labels, std::string_view key, std::string_view value,
                          double figure) {
  begin({});
  out_ += '{';
  out_ += labels;
  if (!labels.empty()) out_ += ',';
  out_ += key;
  out_ += "=\"";
  out_ += value;
  out_ += "\"} ";
  number(figure);
}

void SeriesWriter::bucket(std::string_view labels, std::string_view bound,
                          std::uint64_t cumulative) {
  begin("_bucket{");
  out_ += labels;
  if (!labels.empty()) out_ += ',';
  out_ += "le=\"";
  out_ += bound;
  out_ += "\"} ";
  number(static_cast<double>(cumulative));
}

void SeriesWriter::sum_and_count(std::string_view labels, double sum, std::uint64_t count) {
  bucket(labels, "+Inf", count);
  begin("_sum");
  finish(labels, sum);
  begin("_count");
  finish(labels, static_cast<double>(count));
}

void SeriesWriter::sample(std::string_view labels, const Distribution& d) {
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < d.bounds().size(); ++i) {
    cumulative += d.bucket(i);
    NumberText buffer;
    bucket(labels, text_of(d.bounds()[i], buffer), cumulative);
  }
  sum_and_count(labels, d.sum(), d.count());
}

void SeriesWriter::sample(std::string_view labels, std::span<const double> bounds,
                          std::span<const std::uint64_t> buckets, double sum) {
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < bounds.size() && i < buckets.size(); ++i) {
    cumulative += buckets[i];
    NumberText buffer;
    bucket(labels, text_of(bounds[i], buffer), cumulative);
  }
  if (buckets.size() > bounds.size()) cumulative += buckets.back();
  sum_and_count(labels, sum, cumulative);
}

}  // namespace sentinel::observe
