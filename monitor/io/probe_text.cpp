#include "io/probe_text.hpp"

#include <boost/system/error_code.hpp>
#include <cerrno>
#include <chrono>
#include <format>
#include <system_error>
#include <utility>

#include "protocol/escape.hpp"

namespace sentinel::io {

using core::ProbeReason;

std::string for_people(core::Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms < 1000) return std::format("{} ms", ms);
  if (ms % 1000 == 0) return std::format("{} s", ms / 1000);
  return std::format("{:.1f} s", static_cast<double>(ms) / 1000);
}

core::ProbeOutcome failed(ProbeReason reason, std::string sentence) {
  core::ProbeOutcome outcome;
  outcome.reason = reason;
  outcome.sentence = std::move(sentence);
  return outcome;
}

core::ProbeOutcome network_failure(int error_number) {
  switch (error_number) {
    case ECONNREFUSED: return failed(ProbeReason::refused, "connection refused");
    case ENETUNREACH: return failed(ProbeReason::unreachable, "network is unreachable");
    case EHOSTUNREACH: return failed(ProbeReason::unreachable, "no route to host");
    case EACCES:
    case EPERM:
      return failed(ProbeReason::unreachable, "a local firewall rule refuses the connection");
    case ETIMEDOUT: return failed(ProbeReason::timeout, "the connection timed out");
    case ECONNRESET:
    case EPIPE: return failed(ProbeReason::reset, "connection reset");
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:
      return failed(ProbeReason::internal,
                    "this host is out of sockets or memory: " +
                        protocol::one_line(std::generic_category().message(error_number), 120));
    default:
      return failed(ProbeReason::unreachable,
                    protocol::one_line(std::generic_category().message(error_number), 120));
  }
}

core::ProbeOutcome network_failure(const boost::system::error_code& error) {
  if (error.category() == boost::system::system_category() ||
      error.category() == boost::system::generic_category()) {
    return network_failure(error.value());
  }
  return failed(ProbeReason::reset, protocol::one_line(error.message(), 120));
}

}  // namespace sentinel::io
