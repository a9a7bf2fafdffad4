#pragma once

// What an expected failure of this room looks like.

#include <string>

namespace sentinel::io {

struct Error {
  std::string text;  // a sentence for people, without a full stop; may hold text from outside:
                     // escape it on output
  int code = 0;      // errno where there is one, else 0
};

}  // namespace sentinel::io
