#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/types.hpp"

namespace sentinel::io {

/// The container this process runs in, from the text of /proc/self/mountinfo (the Engine mounts
/// /etc/hostname and the like from a folder named by the full id) or, failing that,
/// /proc/self/cgroup. The host name is not asked: it is a short id at best, and anybody can set it.
/// nullopt: not in a container, as far as can be seen.
std::optional<core::ContainerId> own_container_id(std::string_view mountinfo,
                                                  std::string_view cgroup);

/// The same from this process's /proc; hex, empty when none.
std::string own_container_id();

}  // namespace sentinel::io
