// TCP probes of peers that refuse, break off, drag on and flood.

#include "hostile_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using core::ProbeReason;
using core::Verdict;

namespace {

core::ProbeSpec tcp(std::uint16_t port, std::string expect = {}, std::string send = {},
                    core::Duration timeout = 20s) {
  core::ProbeSpec spec;
  spec.name = "port";
  spec.kind = core::ProbeKind::tcp;
  spec.port = port;
  spec.timeout = timeout;
  spec.tcp.expect = std::move(expect);
  spec.tcp.send = std::move(send);
  return spec;
}

}  // namespace

TEST_CASE("tcp: refused, and where nobody may go") {
  HostileBed bed;
  check(bed.suffer(tcp(closed_port())), ProbeReason::refused, "connection refused");
  auto metadata = tcp(80);
  metadata.host = "169.254.169.254";
  check(bed.suffer(metadata), ProbeReason::unreachable, "metadata addresses are not probed");
  check(bed.suffer(tcp(80), ""), ProbeReason::no_address, "no address");
  check(bed.suffer(tcp(80), "no\naddress"), ProbeReason::internal, "not valid");
}

TEST_CASE("tcp: a connection is enough, whatever the peer does with it") {
  HostileBed bed;
  const auto step = GENERATE(values<Step>(
      {Step{Hang{}}, Step{Reset{}}, Step{Say{"x"}}, Step{Flood{std::string(4096, 'x')}}}));
  ScriptedPeer peer(bed.context(), {step});
  CHECK(bed.suffer(tcp(peer.port())).verdict == Verdict::pass);
}

TEST_CASE("tcp: a peer that hangs up or resets at any step") {
  HostileBed bed;
  const Script script{Hear{"PING\r\n"}, Say{"+PO"}, Say{"N"}, Say{"G"}};
  for (std::size_t steps = 0; steps < script.size(); ++steps) {
    CAPTURE(steps);
    ScriptedPeer resets(bed.context(), cut(script, steps, Reset{}));
    check(bed.suffer(tcp(resets.port(), "+PONG", "PING\r\n")), ProbeReason::reset,
          "connection reset");
    if (steps == 0) continue;
    ScriptedPeer ends(bed.context(),
                      Script(script.begin(), script.begin() + std::ptrdiff_t(steps)));
    const auto found = bed.suffer(tcp(ends.port(), "+PONG", "PING\r\n"));
    if (steps == 1) {
      check(found, ProbeReason::reset, "closed without an answer");
    } else {
      check(found, ProbeReason::body, "expected \"+PONG\", got \"+PO");
    }
  }
  ScriptedPeer whole(bed.context(), script);
  CHECK(bed.suffer(tcp(whole.port(), "+PONG", "PING\r\n")).verdict == Verdict::pass);
}

TEST_CASE("tcp: a timeout is of the whole run") {
  HostileBed bed;
  ScriptedPeer silent(bed.context(), {Hang{}});
  check(bed.suffer(tcp(silent.port(), "220", "", 300ms)), ProbeReason::timeout,
        "no answer within 300 ms");
  ScriptedPeer slow(bed.context(), {Drip{std::string(60, 'x') + "220", 50ms}});
  check(bed.suffer(tcp(slow.port(), "220", "", 300ms)), ProbeReason::timeout,
        "\"220\" did not come within 300 ms");
}

TEST_CASE("tcp: an answer without end is given up at a size") {
  HostileBed bed;
  ScriptedPeer peer(bed.context(), {Flood{repeated("\x1b[2J\r\n\xff", 4096)}});
  check(bed.suffer(tcp(peer.port(), "needle")), ProbeReason::body, "expected \"needle\", got ");
  CHECK(peer.said() < bounded);
}

TEST_CASE("tcp: what is wanted is found across pieces and behind a lot else") {
  HostileBed bed;
  ScriptedPeer peer(bed.context(),
                    {Say{std::string(60'000, 'x') + "nee"}, Drip{"dle", 1ms}, Hang{}});
  CHECK(bed.suffer(tcp(peer.port(), "needle")).verdict == Verdict::pass);
}
