#pragma once

// What the subcommands that ask a running process share. Names and texts that come back are escaped
// before they reach the terminal.

#include <cstdio>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "io/local_client.hpp"
#include "protocol/json.hpp"

namespace sentinel::app {

using protocol::json::Value;

void print(std::FILE* file, std::string_view text);
void print_line(std::string text);
/// To stderr; the exit status for it.
int complain(std::string_view text);
std::string safe(std::string_view text);
/// For a part of a target.
std::string encode(std::string_view text);

/// Who asks: the user behind sudo, else the user.
std::string who();

/// The answer's body when its status says success, else a sentence about what went wrong.
std::expected<std::string, std::string> body_of(const std::string& socket,
                                                std::expected<io::LocalReply, io::Error> reply);
std::expected<std::string, std::string> get(const std::string& socket, const std::string& target);
std::expected<Value, std::string> get_json(const std::string& socket, const std::string& target);
/// Sends a change and prints the `text` of what comes back, or `done`; the exit status.
int change(const std::string& socket, const std::string& target, const std::string& body,
           const std::string& done);

/// Seconds, for people.
std::string age(const Value& seconds);
void print_table(const std::vector<std::vector<std::string>>& rows);
void print_fact(std::string_view name, const std::string& value);

}  // namespace sentinel::app
