#pragma once

// Words that probes of several kinds use, and the outcomes they have in common.

#include <string>
#include <system_error>

#include "core/probe_spec.hpp"

namespace boost::system {
class error_code;
}

namespace sentinel::io {

/// `2 s`, `1.5 s`, `250 ms`.
std::string for_people(core::Duration duration);

/// A failed outcome. The sentence must be one line and safe to print.
core::ProbeOutcome failed(core::ProbeReason reason, std::string sentence);

/// What an error of connect, send or receive means for a probe.
core::ProbeOutcome network_failure(const boost::system::error_code& error);
core::ProbeOutcome network_failure(int error_number);

}  // namespace sentinel::io
