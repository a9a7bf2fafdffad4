// What an ICMP socket of either family hands over, with and without the IP header.

#include "protocol/icmp.hpp"
#include "fuzz.hpp"

using namespace sentinel;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const auto family = (data[0] & 1U) == 0 ? core::Family::v4 : core::Family::v6;
  const bool ip_header = family == core::Family::v4 && (data[0] & 2U) != 0;
  const auto packet = fuzz::view(data + 1, size - 1);
  const auto found = protocol::parse_icmp(family, packet, ip_header);
  if (const auto* failure = std::get_if<protocol::IcmpFailure>(&found)) {
    fuzz::require(failure->target.family == family, "a target of the family");
    fuzz::require(!protocol::to_string(failure->error).empty(), "words for it");
  }
  if (const auto* echo = std::get_if<protocol::IcmpEcho>(&found)) {
    const auto request = protocol::icmp_echo_request(family, *echo);
    const auto read = protocol::parse_icmp_request(family, request);
    fuzz::require(read && read->id == echo->id && read->sequence == echo->sequence, "same request");
    fuzz::require(packet.ends_with(request.substr(4)), "same fields");
  }
  protocol::parse_icmp_request(family, packet);
  return 0;
}
