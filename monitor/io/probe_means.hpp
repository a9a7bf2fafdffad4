#pragma once

// What the runs of one prober share.

#include <string>

#include "io/prober.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct ProbeMeans {
  boost::asio::io_context& context;
  ProberOptions options;
};

}  // namespace sentinel::io
