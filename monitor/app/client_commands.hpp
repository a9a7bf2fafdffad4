#pragma once

// The subcommands that ask a running monitor over its Unix socket. They print to stdout, complain
// on stderr and return the exit status. Names and texts that come back are escaped before they
// reach the terminal.

#include <string>

namespace sentinel::app {

/// For the image's HEALTHCHECK: the loop makes progress and its own HTTP answers.
int command_healthcheck(const std::string& socket);
/// `more`: further members of the JSON document.
int command_status(const std::string& socket, bool json, const std::string& more = {});
int command_explain(const std::string& socket, const std::string& service, bool json);
/// `length` empty: ends maintenance.
int command_maintenance(const std::string& socket, const std::string& service,
                        const std::string& length);
/// Now, once; `reason` for the history, may be empty.
int command_restart(const std::string& socket, const std::string& service,
                    const std::string& reason);
/// From quarantine.
int command_release(const std::string& socket, const std::string& service,
                    const std::string& reason);

}  // namespace sentinel::app
