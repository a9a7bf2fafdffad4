#pragma once

// Draws containers: images' health checks, labels' settings and how their applications behave.

#include <memory>
#include <string>

#include "core/types.hpp"
#include "sim/engine_model.hpp"
#include "sim/prng.hpp"

namespace sentinel::sim {

core::ContainerId draw_id(Prng& prng);

/// What a Compose service looks like: every container of it gets the same.
struct Blueprint {
  core::ContainerInfo info;  // without id, name and created
  Profile profile;
};

Blueprint draw_blueprint(Prng& prng, const std::string& project, const std::string& service,
                         unsigned replica);

/// A new container of it.
std::shared_ptr<const core::ContainerInfo> build(const Blueprint& blueprint, Prng& prng,
                                                 const std::string& name, std::int64_t created);

/// Sentinel may act on it at all, by what does not change while it lives.
bool may_be_healed(const core::ContainerInfo& info);

}  // namespace sentinel::sim
