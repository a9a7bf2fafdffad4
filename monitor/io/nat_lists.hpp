// Lists of what nf_tables holds, as a whole or not at all.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "io/error.hpp"
#include "io/nat_elements.hpp"
#include "io/netlink.hpp"

namespace sentinel::io {

Error unreadable(std::string_view what, const Error& error);

class NatLists {
 public:
  /// Both must outlive this object.
  NatLists(NetlinkSocket& socket, const std::string& table) : socket_(&socket), table_(&table) {}

  /// Reads a list until it did not change meanwhile; `clear` begins anew. EAGAIN: it changed at
  /// each of 20 attempts.
  std::expected<void, Error> read(const std::function<void(NetlinkWriter&)>& ask,
                                  const std::function<void()>& clear,
                                  const std::function<void(const nlmsghdr&)>& each,
                                  std::string_view what);

  /// The elements of a set or map of the table, each at least once.
  std::expected<void, Error> elements(
      std::uint8_t family, std::string_view set,
      const std::function<void(const ListedElement&)>& each,
      const std::function<void()>& clear = [] {});

 private:
  NetlinkSocket* socket_;
  const std::string* table_;
};

}  // namespace sentinel::io
