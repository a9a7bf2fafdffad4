#include "healthcheck.hpp"

#include "duration.hpp"
#include "log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include <expected>
#include <format>

namespace sentinel::demo {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Response = http::response<http::string_body>;

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t longest_line = 500;

// The draft's `status` and `output`, where the body has them.
struct Body {
  std::string status;
  std::string output;
};

Body read_body(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  Body body;
  if (json.is_object()) {
    const auto string_at = [&json](const char* name) {
      const auto found = json.find(name);
      return found != json.end() && found->is_string() ? found->get<std::string>() : std::string{};
    };
    body = {.status = string_at("status"), .output = string_at("output")};
  }
  return body;
}

std::string explain(error_code error, std::chrono::milliseconds timeout) {
  if (error == beast::error::timeout) {
    return std::format("no answer within {}", format_duration(timeout));
  }
  if (error == asio::error::connection_refused) {
    return "connection refused";
  }
  if (error == http::error::end_of_stream || error == asio::error::connection_reset) {
    return "the connection was closed without an answer";
  }
  return error.message();
}

HealthResult judge(const Response& response) {
  const auto body = read_body(response.body());
  HealthResult result;
  result.healthy =
      response.result_int() >= 200 && response.result_int() < 300 && body.status != "fail";
  result.line = std::format("{} {}", response.result_int(),
                            std::string_view{http::obsolete_reason(response.result())});
  if (!body.status.empty()) {
    result.line += std::format(", status {}", body.status);
  }
  if (!body.output.empty()) {
    result.line += std::format(": {}", body.output);
  }
  return result;
}

asio::awaitable<std::expected<Response, error_code>> ask(const HealthUrl& url,
                                                         std::chrono::milliseconds timeout) {
  error_code address_error;
  const auto host = asio::ip::make_address(url.address.host, address_error);
  if (address_error) {
    co_return std::unexpected(address_error);
  }
  const auto executor = co_await asio::this_coro::executor;
  beast::tcp_stream stream{executor};
  // One deadline for all three steps: it is not renewed in between.
  stream.expires_after(timeout);
  auto [connect_error] =
      co_await stream.async_connect(tcp::endpoint{host, url.address.port}, as_tuple);
  if (connect_error) {
    co_return std::unexpected(connect_error);
  }
  http::request<http::empty_body> request{http::verb::get, url.path, 11};
  const bool v6 = url.address.host.find(':') != std::string::npos;
  request.set(http::field::host, std::format("{}{}{}:{}", v6 ? "[" : "", url.address.host,
                                             v6 ? "]" : "", url.address.port));
  request.set(http::field::user_agent, "demo-service healthcheck");
  request.set(http::field::accept, "application/health+json, application/json");
  request.keep_alive(false);
  auto [write_error, written] = co_await http::async_write(stream, request, as_tuple);
  if (write_error) {
    co_return std::unexpected(write_error);
  }
  beast::flat_buffer buffer{std::size_t{128} * 1024};
  http::response_parser<http::string_body> parser;
  parser.header_limit(8 * 1024);
  parser.body_limit(std::size_t{64} * 1024);
  auto [read_error, read] = co_await http::async_read(stream, buffer, parser, as_tuple);
  if (read_error) {
    co_return std::unexpected(read_error);
  }
  co_return parser.release();
}

}  // namespace

HealthResult check_health(const HealthUrl& url, std::chrono::milliseconds timeout) {
  asio::io_context context{1};
  std::expected<Response, error_code> answer =
      std::unexpected(error_code{asio::error::operation_aborted});
  asio::co_spawn(
      context, ask(url, timeout),
      [&answer](const std::exception_ptr& failure, std::expected<Response, error_code> got) {
        if (!failure) {
          answer = std::move(got);
        }
      });
  context.run();
  auto result = answer ? judge(*answer)
                       : HealthResult{.healthy = false, .line = explain(answer.error(), timeout)};
  result.line = printable(result.line).substr(0, longest_line);
  return result;
}

}  // namespace sentinel::demo
