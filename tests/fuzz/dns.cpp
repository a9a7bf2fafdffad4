// A DNS answer to one question of a type that the first byte chooses.

#include <array>

#include "fuzz.hpp"
#include "protocol/dns.hpp"

using namespace sentinel;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  constexpr std::array<std::uint16_t, 12> types{1, 2, 5, 6, 12, 15, 16, 28, 33, 257, 65, 99};
  const auto type = types.at(data[0] % types.size());
  const auto query = protocol::make_dns_query("www.example.org", type, 0x1234);
  fuzz::require(query.has_value(), "a question");
  const auto reading = protocol::read_dns_answer(*query, fuzz::view(data + 1, size - 1));
  if (const auto* answer = std::get_if<protocol::DnsAnswer>(&reading)) {
    fuzz::require(answer->records.size() <= protocol::dns_records, "bounded records");
    core::DnsOptions options;
    options.type = type;
    const auto outcome = protocol::judge_dns(options, *answer);
    fuzz::require(fuzz::printable(outcome.sentence), "one line");
    options.rcode = answer->rcode;
    options.expect = answer->records;
    // What an answer holds is what would have to be expected. A text in quotes means its inside.
    if (type != 16 && !answer->records.empty()) {
      fuzz::require(protocol::judge_dns(options, *answer).verdict == core::Verdict::pass,
                    "equal to itself");
    }
    options.expect = {"never"};
    fuzz::require(fuzz::printable(protocol::judge_dns(options, *answer).sentence), "one line");
  }
  return 0;
}
