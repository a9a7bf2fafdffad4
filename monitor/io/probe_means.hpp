#pragma once

// What the runs of one prober share.

#include <array>
#include <string>
#include <utility>

#include "io/connector.hpp"
#include "io/http_checks.hpp"
#include "io/poller.hpp"
#include "io/prober.hpp"
#include "io/resolver.hpp"
#include "io/tls_client.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct ProbeMeans {
  ProbeMeans(boost::asio::io_context& loop, ProberOptions its_options)
      : context(loop),
        options(std::move(its_options)),
        network{.context = loop, .poller = Poller{loop}, .resolver = Resolver{loop, {}}} {}

  boost::asio::io_context& context;
  ProberOptions options;
  NetworkMeans network;
  TlsContexts tls;
  Regexes regexes;
  std::array<char, 16 * 1024> scratch{};  // what is being received, for the length of one call
};

}  // namespace sentinel::io
