#pragma once

// A sender on the loop that the test turns itself.

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/alert_core.hpp"
#include "io/runtime.hpp"
#include "io/sender.hpp"
#include "scripted_peer.hpp"
#include "tls_fixture.hpp"

namespace sentinel::test {

class SenderBed {
 public:
  SenderBed() {
    auto started =
        io::Sender::start(context_, [this](core::Sent sent) { sent_[sent.id] = std::move(sent); });
    REQUIRE(started);
    sender_ = std::move(*started);
  }

  boost::asio::io_context& context() { return context_; }
  io::Sender& sender() { return *sender_; }

  template <class Condition>
  bool run_until(Condition condition, std::chrono::seconds limit = std::chrono::seconds{30}) {
    const auto end = io::now() + limit;
    while (!condition()) {
      if (io::now() > end) return false;
      context_.restart();
      context_.run_for(std::chrono::milliseconds{20});
    }
    return true;
  }

  std::uint64_t begin(const std::string& receiver) {
    core::Delivery delivery;
    delivery.id = ++last_;
    delivery.key = "01JNJ3Z7K8W9X0YABCDEFGHJKM:1:" + receiver;
    delivery.receiver = receiver;
    delivery.message.host = "host-a";
    delivery.message.items.resize(1);
    auto& incident = delivery.message.items[0].incident;
    incident.id = "01JNJ3Z7K8W9X0YABCDEFGHJKM";
    incident.title = "web";
    incident.text = "web unreachable: connection refused";
    incident.sequence = 1;
    sender_->perform({std::move(delivery)});
    return last_;
  }
  std::uint64_t begin(const std::string& receiver, core::Delivery delivery) {
    delivery.id = ++last_;
    delivery.receiver = receiver;
    sender_->perform({std::move(delivery)});
    return last_;
  }

  bool answered(std::uint64_t id) const { return sent_.contains(id); }
  std::size_t answers() const { return sent_.size(); }

  core::Sent end(std::uint64_t id) {
    REQUIRE(run_until([&] { return answered(id); }));
    const auto& sent = sent_.at(id);
    CHECK(sent.detail.size() <= 400);
    CHECK(sent.detail.find_first_of("\r\n") == std::string::npos);
    return sent;
  }

  /// One attempt at one receiver.
  core::Sent send(io::ReceiverSpec spec) {
    const auto name = spec.name;
    sender_->configure({std::move(spec)});
    return end(begin(name));
  }

 private:
  boost::asio::io_context context_;
  std::map<std::uint64_t, core::Sent> sent_;
  std::unique_ptr<io::Sender> sender_;
  std::uint64_t last_ = 0;
};

inline io::ReceiverSpec webhook(std::uint16_t port, const std::string& path = "/hook",
                                const std::string& name = "hook") {
  io::ReceiverSpec spec;
  spec.name = name;
  spec.integration = "webhook";
  spec.url = io::Secret{"http://127.0.0.1:" + std::to_string(port) + path};
  return spec;
}

inline void check(const core::Sent& sent, core::SendResult result, const std::string& detail) {
  INFO(sent.detail);
  CHECK(core::to_string(sent.result) == core::to_string(result));
  CHECK(sent.detail.find(detail) != std::string::npos);
}

/// The whole body of a webhook's request was heard: its keys are ordered.
inline const Step hear_all = Hear{"\"version\":\"4\"}"};

}  // namespace sentinel::test
