// Whose turn it is: no receiver waits for another, none is flooded, everything is answered.

#include "sender_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using core::SendResult;

namespace {

const Step ok = Say{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};

}  // namespace

TEST_CASE("receivers that hang delay nobody else, and are answered themselves") {
  SenderBed bed;
  ScriptedPeer hangs(bed.context(), {Hear{}, Hang{}});
  ScriptedPeer good(bed.context(), {hear_all, ok});
  std::vector<io::ReceiverSpec> receivers{webhook(good.port(), "/", "good")};
  for (int i = 0; i < 20; ++i)
    receivers.push_back(webhook(hangs.port(), "/", "hangs-" + std::to_string(i)));
  bed.sender().configure(receivers);
  std::vector<std::uint64_t> hanging;
  for (int i = 0; i < 20; ++i)
    for (int k = 0; k < 10; ++k) hanging.push_back(bed.begin("hangs-" + std::to_string(i)));
  for (int i = 0; i < 20; ++i) CHECK(bed.end(bed.begin("good")).result == SendResult::accepted);
  REQUIRE(bed.run_until(
      [&] { return std::ranges::all_of(hanging, [&](auto id) { return bed.answered(id); }); }));
  unsigned no_turn = 0;
  for (const auto id : hanging) {
    const auto sent = bed.end(id);
    CHECK(sent.result == SendResult::retry);
    if (sent.detail.find("take too long") != std::string::npos) ++no_turn;
  }
  CHECK(no_turn == 20 * 6);
  CHECK(bed.run_until([&] { return bed.sender().stats().running == 0; }));
  CHECK(bed.sender().stats().waiting == 0);
}

TEST_CASE("a receiver with an interval gets one message at a time") {
  SenderBed bed;
  ScriptedPeer peer(bed.context(), {hear_all, ok});
  auto spec = webhook(peer.port());
  spec.interval = 500ms;
  bed.sender().configure({spec});
  const auto begun = io::now();
  const std::vector ids{bed.begin("hook"), bed.begin("hook"), bed.begin("hook")};
  for (const auto id : ids) CHECK(bed.end(id).result == SendResult::accepted);
  CHECK(io::now() - begun >= 1s);
}

TEST_CASE("what is too much is answered at once") {
  SenderBed bed;
  ScriptedPeer hangs(bed.context(), {Hear{}, Hang{}});
  bed.sender().configure({webhook(hangs.port())});
  constexpr std::size_t many = io::Sender::max_waiting + 500;
  for (std::size_t i = 0; i < many; ++i) bed.begin("hook");
  CHECK(bed.run_until([&] { return bed.answers() == many; }));
}

TEST_CASE("a receiver that is gone is said to be") {
  SenderBed bed;
  bed.sender().configure({});
  check(bed.end(bed.begin("gone")), SendResult::permanent, "no such receiver");
}

TEST_CASE("a reload does not touch what is under way") {
  SenderBed bed;
  ScriptedPeer peer(bed.context(),
                    {hear_all, Drip{"HTTP/1.1 200 OK\r\n", 5ms}, Say{"Content-Length: 0\r\n\r\n"}});
  bed.sender().configure({webhook(peer.port())});
  const auto id = bed.begin("hook");
  bed.sender().configure({});
  CHECK(bed.end(id).result == SendResult::accepted);
}

TEST_CASE("after the end nothing is heard any more") {
  SenderBed bed;
  ScriptedPeer hangs(bed.context(), {Hear{}, Hang{}});
  bed.sender().configure({webhook(hangs.port())});
  bed.begin("hook");
  CHECK(bed.run_until([&] { return hangs.accepted() == 1; }));
  bed.sender().stop();
  bed.sender().stop();
  bed.begin("hook");
  bed.context().restart();
  bed.context().run_for(50ms);
  CHECK(bed.answers() == 0);
}
