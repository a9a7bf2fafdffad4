#include "protocol/http_response.hpp"

#include <algorithm>
#include <utility>

namespace sentinel::protocol {
namespace {

std::unexpected<Error> bad(std::string_view what) {
  return std::unexpected(Error{"malformed HTTP answer: " + std::string(what)});
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool same_word(std::string_view a, std::string_view lower) {
  return std::ranges::equal(
      a, lower, [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x - 'A' + 'a' : x) == y; });
}

/// Whether a comma-separated list holds the word.
bool lists(std::string_view list, std::string_view lower) {
  while (true) {
    const auto comma = list.find(',');
    if (same_word(trim(list.substr(0, comma)), lower)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

}  // namespace

void HttpResponseReader::reset(bool to_head) {
  state_ = State::status_line;
  line_.clear();
  head_bytes_ = 0;
  status_ = interim_ = 0;
  http_1_0_ = chunked_ = sized_ = false;
  keep_alive_ = true;
  length_ = left_ = body_bytes_ = 0;
  date_.clear();
  content_type_.clear();
  location_.clear();
  to_head_ = to_head;
}

std::expected<std::string_view, Error> HttpResponseReader::take(std::string_view& input) {
  while (!input.empty()) {
    switch (state_) {
      case State::done: return std::string_view{};
      case State::sized_body:
      case State::chunk_data: {
        const std::string_view piece =
            input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
        input.remove_prefix(piece.size());
        left_ -= piece.size();
        if (left_ == 0) state_ = state_ == State::sized_body ? State::done : State::chunk_end;
        return piece;
      }
      case State::body_to_end: {
        if (auto counted = count_body(input.size()); !counted)
          return std::unexpected(counted.error());
        return std::exchange(input, {});
      }
      default: break;
    }
    // Everything else comes in lines.
    const auto end = input.find('\n');
    const std::string_view piece = input.substr(0, end);
    const bool chunk_line = state_ == State::chunk_size || state_ == State::chunk_end;
    if (!chunk_line) {
      head_bytes_ += piece.size() + (end == std::string_view::npos ? 0U : 1U);
      if (head_bytes_ > limits_.max_head) return bad("header fields beyond the limit");
    } else if (line_.size() + piece.size() > limits_.max_chunk_line) {
      return bad("a chunk header beyond the limit");
    }
    input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
    line_.append(piece);
    if (end == std::string_view::npos) break;
    std::string_view line = line_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find('\r') != std::string_view::npos || line.find('\0') != std::string_view::npos)
      return bad("a bare CR or NUL");
    auto handled = on_line(line);
    line_.clear();
    if (!handled) return std::unexpected(std::move(handled.error()));
  }
  return std::string_view{};
}

std::expected<void, Error> HttpResponseReader::on_line(std::string_view line) {
  switch (state_) {
    case State::status_line: return on_status_line(line);
    case State::fields: return line.empty() ? on_head_end() : on_field(line);
    case State::chunk_size: return on_chunk_size(line);
    case State::chunk_end:
      if (!line.empty()) return bad("no end of chunk where one was due");
      state_ = State::chunk_size;
      return {};
    case State::trailer:
      if (line.empty()) state_ = State::done;
      return {};
    default: return bad("a line where none was due");
  }
}

std::expected<void, Error> HttpResponseReader::on_status_line(std::string_view line) {
  http_1_0_ = line.starts_with("HTTP/1.0 ");
  if (!http_1_0_ && !line.starts_with("HTTP/1.1 ")) return bad("no HTTP/1.x status line");
  const std::string_view code = line.substr(9, 3);
  if (code.size() != 3 || !std::ranges::all_of(code, [](char c) { return c >= '0' && c <= '9'; }) ||
      (line.size() > 12 && line[12] != ' ')) {
    return bad("no status code");
  }
  status_ = static_cast<unsigned>((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
  if (status_ < 100 || status_ > 599) return bad("a status code outside 100 to 599");
  keep_alive_ = !http_1_0_;
  state_ = State::fields;
  return {};
}

std::expected<void, Error> HttpResponseReader::on_field(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return bad("a header field without a name");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trim(line.substr(colon + 1));
  if (std::ranges::any_of(value, [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
      })) {
    return bad("control characters in a header field");
  }
  if (same_word(name, "content-length")) {
    if (value.empty() || value.size() > 18 ||
        !std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; })) {
      return bad("Content-Length is no number");
    }
    std::uint64_t length = 0;
    for (const char c : value) length = length * 10 + static_cast<std::uint64_t>(c - '0');
    if (sized_) return bad("two Content-Length fields");
    sized_ = true;
    length_ = length;
  } else if (same_word(name, "transfer-encoding")) {
    if (chunked_ || http_1_0_ || !same_word(value, "chunked"))
      return bad("an unknown Transfer-Encoding");
    chunked_ = true;
  } else if (same_word(name, "connection")) {
    if (lists(value, "close")) keep_alive_ = false;
    if (http_1_0_ && lists(value, "keep-alive")) keep_alive_ = true;
  } else if (same_word(name, "date")) {
    if (date_.empty() && value.size() <= 64) date_ = value;
  } else if (same_word(name, "content-type")) {
    if (content_type_.empty() && value.size() <= 256) content_type_ = value;
  } else if (same_word(name, "location")) {
    if (location_.empty() && value.size() <= 2048) location_ = value;
  }
  return {};
}

std::expected<void, Error> HttpResponseReader::on_head_end() {
  if (chunked_ && sized_) return bad("both Content-Length and Transfer-Encoding");
  if (status_ == 101) return bad("a protocol switch nobody asked for");
  if (status_ < 200) {
    // Interim answers are allowed but useless; a peer that sends them without end is cut off by the
    // head's budget too.
    if (++interim_ > 4 || chunked_ || sized_) return bad("too many interim answers");
    state_ = State::status_line;
    content_type_.clear();
    location_.clear();
    return {};
  }
  if (status_ == 204 || status_ == 304 || to_head_) {
    state_ = State::done;
  } else if (chunked_) {
    state_ = State::chunk_size;
  } else if (sized_) {
    if (auto counted = count_body(length_); !counted) return counted;
    left_ = length_;
    state_ = length_ == 0 ? State::done : State::sized_body;
  } else {
    keep_alive_ = false;
    state_ = State::body_to_end;
  }
  return {};
}

std::expected<void, Error> HttpResponseReader::on_chunk_size(std::string_view line) {
  std::uint64_t size = 0;
  std::size_t digits = 0;
  for (const char c : line) {
    unsigned value = 0;
    if (c >= '0' && c <= '9') {
      value = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = static_cast<unsigned>(c - 'a') + 10;
    } else if (c >= 'A' && c <= 'F') {
      value = static_cast<unsigned>(c - 'A') + 10;
    } else {
      break;
    }
    if (++digits > 15) return bad("a chunk beyond any size");
    size = size * 16 + value;
  }
  if (digits == 0) return bad("a chunk without size");
  const std::string_view rest = trim(line.substr(digits));
  if (!rest.empty() && rest.front() != ';') return bad("a chunk size that is no number");
  if (size == 0) {
    head_bytes_ = 0;  // the trailer has a budget of its own
    state_ = State::trailer;
    return {};
  }
  if (auto counted = count_body(size); !counted) return counted;
  left_ = size;
  state_ = State::chunk_data;
  return {};
}

std::expected<void, Error> HttpResponseReader::count_body(std::uint64_t bytes) {
  if (bytes > limits_.max_body - body_bytes_) {
    return std::unexpected(
        Error{"an answer of more than " + std::to_string(limits_.max_body) + " bytes"});
  }
  if (limits_.max_body != UINT64_MAX) body_bytes_ += bytes;  // an endless stream has no sum
  return {};
}

bool HttpResponseReader::finish() {
  if (state_ == State::body_to_end) state_ = State::done;
  keep_alive_ = false;
  return done();
}

std::string http_request(std::string_view method, std::string_view target, std::string_view host,
                         std::string_view body) {
  std::string request;
  request.reserve(target.size() + host.size() + body.size() + 160);
  request.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: ").append(host);
  request.append("\r\nUser-Agent: Sentinel\r\nAccept: application/json\r\n");
  if (!body.empty()) request.append("Content-Type: application/json\r\n");
  if (method == "POST")
    request.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  request.append("\r\n").append(body);
  return request;
}

}  // namespace sentinel::protocol
