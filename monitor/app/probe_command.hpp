#pragma once

#include <string>
#include <vector>

namespace sentinel::app {

struct ProbeRequest {
  std::string url;
  std::vector<std::string> options;  // NAME=VALUE
  std::string address;               // where the URL names no host
  bool json = false;
};

/// `sentinel probe`: one run, told to standard output. 0: pass or warn, 1: fail, 2: not understood.
int command_probe(const ProbeRequest& request);

}  // namespace sentinel::app
