#pragma once

// Listens to what others do to our nf_tables table.

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "io/error.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

class NatWatch {
 public:
  /// `own_port` is the socket that makes our own changes: its events are not even delivered.
  /// on_foreign gets a sentence, which may hold text from outside, once for each transaction of
  /// somebody else that concerns the table. Where events were lost, or not listened to, `intact`
  /// is asked instead. Neither is called from inside a call, nor after this object has ended.
  static std::expected<std::shared_ptr<NatWatch>, Error> start(
      boost::asio::io_context& context, std::string table, std::uint32_t own_port,
      std::function<void(std::string)> on_foreign, std::function<bool()> intact);
  virtual ~NatWatch() = default;

  /// No events until resume(): for transactions of our own that would cause many.
  virtual void pause() = 0;
  virtual void resume() = 0;
  /// Asks soon whether the table is intact, as something may have been missed.
  virtual void look() = 0;
};

}  // namespace sentinel::io
