#include "io/probe_icmp.hpp"

#include <algorithm>
#include <cerrno>
#include <format>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/address_lookup.hpp"
#include "io/icmp_socket.hpp"
#include "io/probe_means.hpp"
#include "io/probe_text.hpp"
#include "io/runtime.hpp"

namespace sentinel::io {

using core::ProbeOutcome;
using core::ProbeReason;

namespace {

struct Shared {
  explicit Shared(std::shared_ptr<ProbeMeans> given)
      : means(std::move(given)),
        network(means->network),
        v4(network.poller, core::Family::v4),
        v6(network.poller, core::Family::v6) {}
  std::shared_ptr<ProbeMeans> means;
  NetworkMeans& network;
  IcmpSocket v4;
  IcmpSocket v6;
};

double milliseconds(core::Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

ProbeReason reason_of(protocol::IcmpError error) {
  return error == protocol::IcmpError::protocol_unreachable ||
                 error == protocol::IcmpError::port_unreachable
             ? ProbeReason::refused
             : ProbeReason::unreachable;
}

class IcmpRun final : public ProbeRun, private Poller::Watcher, private IcmpSocket::User {
 public:
  explicit IcmpRun(std::shared_ptr<Shared> shared)
      : shared_(std::move(shared)),
        lookup_(shared_->network.resolver),
        key_(shared_->network.poller.add(*this)) {}
  ~IcmpRun() override {
    IcmpRun::abandon();
    shared_->network.poller.remove(key_);
  }

  void begin(ProbeTask task, Done done) override {
    task_ = std::move(task);
    done_ = std::move(done);
    phases_ = {};
    sent_ = 0;
    round_trips_.clear();
    refusal_.reset();
    resolve();
  }

  ProbeOutcome timed_out() override {
    ProbeOutcome outcome;
    if (lookup_.pending()) {
      outcome = failed(ProbeReason::resolve,
                       "the name was not resolved within " + for_people(task_.spec->timeout));
    } else {
      // After a stall of ours the replies may be there and not looked at.
      if (!under_way_.empty()) socket_->collect();
      outcome = pending_ ? std::move(*pending_) : judge();
    }
    outcome.phases = phases_;
    abandon();
    return outcome;
  }

  void abandon() override {
    lookup_.cancel();
    for (const auto sequence : under_way_) socket_->release(sequence);
    under_way_.clear();
    if (spacing_) spacing_->set(std::nullopt);
    pending_.reset();
    done_ = nullptr;
  }

 private:
  const core::IcmpOptions& options() const { return task_.spec->icmp; }

  void resolve() {
    lookup_.begin(task_, [this](AddressLookup::Found found, core::Duration took) {
      phases_.resolve = took;
      if (found)
        ask(*found);
      else
        finish_later(std::move(found.error()));
    });
  }

  void ask(const core::IpAddress& address) {
    address_ = address;
    socket_ = address.family == core::Family::v4 ? &shared_->v4 : &shared_->v6;
    if (const auto opened = socket_->open(); !opened)
      return finish_later(failed(ProbeReason::internal, opened.error()));
    send_next();
  }

  void send_next() {
    ++sent_;
    const auto sequence = socket_->send(address_, *this);
    if (sequence) {
      under_way_.push_back(*sequence);
    } else {
      auto failure = network_failure(sequence.error());
      // Our own inability ends the run; a route that is missing is a packet lost.
      if (failure.reason == ProbeReason::internal || sequence.error() == EAGAIN) {
        failure.reason = ProbeReason::internal;
        return finish_later(std::move(failure));
      }
      refusal_ = std::move(failure);
    }
    if (sent_ < std::max(options().count, 1U)) {
      if (!spacing_) {
        spacing_ = std::make_unique<Alarm>(shared_->network.context, [this] { send_next(); });
      }
      spacing_->set(core::after(now(), options().spacing));
    } else if (under_way_.empty()) {
      finish_later(judge());
    }
  }

  void on_reply(std::uint16_t sequence, core::Duration round_trip) override {
    round_trips_.push_back(round_trip);
    settled(sequence);
  }

  void on_refused(std::uint16_t sequence, protocol::IcmpError why) override {
    refusal_ = failed(reason_of(why), std::string(to_string(why)));
    settled(sequence);
  }

  // The socket may be in the middle of a send: told later.
  void settled(std::uint16_t sequence) {
    std::erase(under_way_, sequence);
    if (under_way_.empty() && sent_ >= options().count) finish_later(judge());
  }

  ProbeOutcome judge() {
    const auto received = static_cast<unsigned>(round_trips_.size());
    const unsigned lost = sent_ - received;
    ProbeOutcome outcome;
    if (sent_ > 0) outcome.loss = static_cast<double>(lost) / sent_;
    if (received == 0) {
      if (refusal_) {
        outcome.reason = refusal_->reason;
        outcome.sentence = refusal_->sentence;
      } else {
        outcome.reason = ProbeReason::timeout;
        outcome.sentence = "no reply within " + for_people(task_.spec->timeout);
      }
      return outcome;
    }
    core::Duration sum{};
    for (const auto round_trip : round_trips_) sum += round_trip;
    phases_.processing = sum / received;
    const auto [least, most] = std::ranges::minmax(round_trips_);
    const auto times = std::format("round trip {:.2f}/{:.2f}/{:.2f} ms", milliseconds(least),
                                   milliseconds(phases_.processing), milliseconds(most));
    outcome.sentence = lost > 0 || sent_ > 1
                           ? std::format("{} of {} packets lost, {}", lost, sent_, times)
                           : times;
    if (lost * 100 > options().max_loss * sent_) {
      outcome.reason = ProbeReason::loss;
    } else {
      outcome.verdict = core::Verdict::pass;
    }
    return outcome;
  }

  void on_ready(unsigned /*events*/) override {
    if (pending_) finish(*std::exchange(pending_, std::nullopt));
  }

  void finish_later(ProbeOutcome outcome) {
    pending_ = std::move(outcome);
    shared_->network.poller.wake(key_);
  }

  void finish(ProbeOutcome outcome) {
    outcome.phases = phases_;
    const Done done = std::move(done_);
    abandon();
    if (done) done(std::move(outcome));
  }

  std::shared_ptr<Shared> shared_;
  AddressLookup lookup_;
  Poller::Key key_;
  ProbeTask task_;
  Done done_;
  std::optional<ProbeOutcome> pending_;
  std::optional<ProbeOutcome> refusal_;  // the last word of the network
  IcmpSocket* socket_ = nullptr;
  core::IpAddress address_;
  unsigned sent_ = 0;
  std::vector<std::uint16_t> under_way_;
  std::vector<core::Duration> round_trips_;
  std::unique_ptr<Alarm> spacing_;  // only made for several packets
  core::ProbePhases phases_;
};

}  // namespace

std::function<std::unique_ptr<ProbeRun>()> icmp_runs(std::shared_ptr<ProbeMeans> means) {
  return [shared = std::make_shared<Shared>(std::move(means))] {
    return std::make_unique<IcmpRun>(shared);
  };
}

}  // namespace sentinel::io
