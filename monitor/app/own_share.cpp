#include "app/own_share.hpp"

namespace sentinel::app {

std::optional<core::ContainerId> OwnShare::begin(const core::Event& event) {
  sent_.reset();
  if (const auto* hint = std::get_if<core::Hint>(&event)) {
    if (hint->kind == core::HintKind::unhealthy) {
      // What is left in here has no request to end it, such as containers nobody heals.
      if (shares_.size() >= max_tracked) shares_.clear();
      shares_.insert_or_assign(hint->id, core::Duration{});
    } else if (hint->kind == core::HintKind::healthy || hint->kind == core::HintKind::destroy) {
      shares_.erase(hint->id);
    }
    return hint->id;
  }
  if (const auto* inspected = std::get_if<core::Inspected>(&event)) return inspected->id;
  if (const auto* stored = std::get_if<core::IntentStored>(&event)) {
    const auto it = operations_.find(stored->op);
    if (it != operations_.end()) return it->second;
  }
  return std::nullopt;
}

void OwnShare::performed(const core::Action& action) {
  if (const auto* store = std::get_if<core::StoreIntent>(&action)) {
    if (operations_.size() >= max_tracked) operations_.clear();
    operations_.emplace(store->intent.op, store->intent.container);
  } else if (const auto* forget = std::get_if<core::ForgetIntent>(&action)) {
    operations_.erase(forget->op);
  } else if (const auto* operate = std::get_if<core::Operate>(&action)) {
    sent_ = operate->id;
  }
}

std::optional<core::Duration> OwnShare::spent(const std::optional<core::ContainerId>& container,
                                              core::Duration took) {
  if (!container) return std::nullopt;
  const auto it = shares_.find(*container);
  if (it == shares_.end()) return std::nullopt;
  it->second += took;
  if (sent_ != container) return std::nullopt;
  const core::Duration whole = it->second;
  shares_.erase(it);
  return whole;
}

}  // namespace sentinel::app
