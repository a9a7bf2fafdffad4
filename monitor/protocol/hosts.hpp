#pragma once

// Hosts as settings name them.

#include <string_view>

namespace sentinel::protocol {

/// Addresses that hand out credentials to whoever asks (169.254.0.0/16, fe80::/10, the clouds'
/// metadata services), and IPv4 addresses in any but the dotted decimal form. Names are judged by
/// name only: who resolves them judges the address again.
bool forbidden_host(std::string_view host);

/// A name of letters, digits, `-`, `.` and `_`, an IPv4 address, or, when `bracketed`, the IPv6
/// address that stood between brackets; at most 253 bytes. An empty name is good. Says nothing of
/// forbidden_host().
bool good_host(std::string_view host, bool bracketed);

}  // namespace sentinel::protocol
