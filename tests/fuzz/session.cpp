// The conversation with the Engine: the input is a list of actions, not bytes of a protocol.

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "protocol/engine_session.hpp"

using namespace sentinel;
using namespace sentinel::protocol;

namespace {

class World {
 public:
  World() : session_(SessionOptions{}) {
    step([this](auto& out) { session_.start(at(), out); });
  }

  void act(std::uint8_t action, std::uint8_t argument) {
    const bool good = (argument & 1U) != 0;
    const Error error{"failed"};
    switch (action % 12U) {
      case 0:
        step([&](auto& out) {
          const VersionAnswer answer{{"1", {1, 24}, {1, 40U + argument / 8U}},
                                     at().wall_ns + (argument - 128) * 10'000'000'000};
          session_.on_version(
              version_, good ? std::expected<VersionAnswer, Error>(answer) : std::unexpected(error),
              at(), out);
        });
        break;
      case 1: open_stream(); break;
      case 2:
        step([&](auto& out) {
          session_.on_stream_closed(stream_, good ? std::nullopt : std::optional(error), at(), out);
        });
        break;
      case 3:
        step([&](auto& out) {
          std::expected<std::vector<core::ListedContainer>, Error> answer;
          if (!good) answer = std::unexpected(error);
          session_.on_list(list_, std::move(answer), at(), out);
        });
        break;
      case 4:
        step([&](auto& out) {
          session_.on_ping(ping_, good ? std::expected<void, Error>{} : std::unexpected(error),
                           at(), out);
        });
        break;
      case 5: now_ += std::chrono::milliseconds(argument * argument); break;
      case 6:
        if (const auto due = session_.next_deadline()) now_ = std::max(now_, *due);
        step([&](auto& out) { session_.on_timer(at(), out); });
        break;
      case 7: session_.on_call_started(at()); break;
      case 8: step([&](auto& out) { session_.on_call_finished(!good, at(), out); }); break;
      case 9: step([&](auto& out) { session_.relist(good, at(), out); }); break;
      case 10:
        step([&](auto& out) {
          const std::string line = R"({"Type":"container","Action":"die","Actor":{"ID":")" +
                                   std::string(64, 'a') + R"("},"timeNano":)" +
                                   std::to_string(argument) + "}\n";
          session_.on_stream_bytes(stream_, good ? line : "x\n", at(), out);
        });
        break;
      default: step([&](auto& out) { session_.reconfigure(good, at(), out); }); break;
    }
  }

  /// A well-behaved Engine from here on: we are up within a minute.
  void settle() {
    for (int i = 0; i < 200 && session_.state() != EngineSession::State::up; ++i) {
      if (version_ != 0) {
        step([&](auto& out) {
          session_.on_version(version_, VersionAnswer{{"1", {1, 24}, {1, 45}}, at().wall_ns}, at(),
                              out);
        });
      } else if (stream_ != 0 && !open_) {
        open_stream();
      } else if (list_ != 0) {
        step([&](auto& out) {
          session_.on_list(list_, std::vector<core::ListedContainer>{}, at(), out);
        });
      } else if (ping_ != 0) {
        step([&](auto& out) { session_.on_ping(ping_, {}, at(), out); });
      } else {
        const auto due = session_.next_deadline();
        fuzz::require(due.has_value(), "something is due while not up");
        now_ = std::max(now_, *due);
        step([&](auto& out) { session_.on_timer(at(), out); });
      }
    }
    fuzz::require(session_.state() == EngineSession::State::up, "up in the end");
    fuzz::require(session_.connected() && synchronised_, "with a list after the gap");
  }

 private:
  void open_stream() {
    step([&](auto& out) { session_.on_stream_opened(stream_, at(), out); });
    open_ = stream_ != 0;
  }

  Moment at() const { return {now_, 1'800'000'000'000'000'000 + now_.time_since_epoch().count()}; }

  template <class Call>
  void step(Call call) {
    // What is answered by this step is no longer awaited, whatever comes of it.
    SessionCommands out;
    call(out);
    fuzz::require(out.size() <= 8, "few commands per step");
    for (const auto& command : out) std::visit([this](const auto& c) { this->on(c); }, command);
    const auto state = session_.state();
    using State = EngineSession::State;
    if (state != State::asking_version) version_ = 0;
    if (state == State::waiting || state == State::asking_version) {
      stream_ = 0;
      list_ = 0;
      ping_ = 0;
      open_ = false;
    }
    if (state == State::up)
      fuzz::require(session_.next_deadline().has_value() || list_ != 0 || stream_ != 0,
                    "never idle for ever");
    fuzz::require(session_.connected() == connected_, "connected as told");
  }

  void on(const AskVersion& ask) { version_ = ask.call; }
  void on(const OpenStream& open) {
    fuzz::require(open.query.since >= 0 && open.query.until > 0, "a sane query");
    stream_ = open.call;
    open_ = false;
  }
  void on(const CloseStream& /*close*/) {
    fuzz::require(stream_ != 0, "only an open stream is closed");
    stream_ = 0;
    open_ = false;
    synchronised_ = false;
  }
  void on(const AskList& ask) { list_ = ask.call; }
  void on(const AskPing& ask) { ping_ = ask.call; }
  void on(const DropCalls& /*drop*/) {}
  void on(const Publish& publish) {
    if (std::holds_alternative<core::EngineConnected>(publish.event)) {
      fuzz::require(!connected_, "connected once");
      connected_ = true;
      synchronised_ = false;
    } else if (std::holds_alternative<core::EngineLost>(publish.event)) {
      connected_ = false;
      synchronised_ = false;
    } else if (const auto* list = std::get_if<core::Listed>(&publish.event)) {
      fuzz::require(connected_, "lists only while connected");
      fuzz::require(list->after_gap || synchronised_, "the first list is after a gap");
      synchronised_ = true;
      list_ = 0;
    } else {
      fuzz::require(connected_, "hints only while connected");
    }
  }

  EngineSession session_;
  core::Time now_{};
  CallNumber version_ = 0;
  CallNumber stream_ = 0;
  CallNumber list_ = 0;
  CallNumber ping_ = 0;
  bool open_ = false;
  bool connected_ = false;
  bool synchronised_ = false;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  for (std::size_t i = 0; i + 1 < std::min<std::size_t>(size, 2000); i += 2)
    world.act(data[i], data[i + 1]);
  world.settle();
  return 0;
}
