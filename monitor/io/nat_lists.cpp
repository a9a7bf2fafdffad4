#include "io/nat_lists.hpp"

#include <linux/netfilter/nf_tables.h>

#include <cerrno>
#include <format>
#include <set>
#include <string>
#include <utility>

#include "io/nat_expressions.hpp"

namespace sentinel::io {
namespace {

constexpr int attempts = 20;

}  // namespace

Error unreadable(std::string_view what, const Error& error) {
  return {std::format("cannot read {}: {}", what, error.text), error.code};
}

std::expected<void, Error> NatLists::read(const std::function<void(NetlinkWriter&)>& ask,
                                          const std::function<void()>& clear,
                                          const std::function<void(const nlmsghdr&)>& each,
                                          std::string_view what) {
  NetlinkWriter request;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    request.clear();
    ask(request);
    clear();
    const auto whole = socket_->dump(request, each);
    if (!whole && whole.error().code != EINTR) {
      return std::unexpected(unreadable(what, whole.error()));
    }
    if (whole && *whole) return {};
  }
  return std::unexpected(unreadable(what, {"it changes all the time", EAGAIN}));
}

/// After many elements were added the kernel moves them to a larger hash table, in the background.
/// Each part of a list counts its way to where the last part ended; when elements moved meanwhile,
/// some come twice and some never, and no flag tells (seen on 6.18 with 4,000 elements). A list in
/// parts is right when the next one has the same elements.
std::expected<void, Error> NatLists::elements(std::uint8_t family, std::string_view set,
                                              const std::function<void(const ListedElement&)>& each,
                                              const std::function<void()>& clear) {
  const std::string what = std::format("'{}' of the NAT table", set);
  std::set<std::string> before;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    std::set<std::string> keys;
    std::size_t parts = 0;
    const auto done = read(
        [&](NetlinkWriter& request) {
          request.message(nft_message(NFT_MSG_GETSETELEM), NLM_F_DUMP, family);
          request.text(NFTA_SET_ELEM_LIST_TABLE, *table_);
          request.text(NFTA_SET_ELEM_LIST_SET, set);
        },
        [&] {
          keys.clear();
          parts = 0;
          clear();
        },
        [&](const nlmsghdr& message) {
          ++parts;
          for (const ListedElement& one : read_elements(message)) {
            keys.emplace(reinterpret_cast<const char*>(one.key.data()), one.key.size());
            each(one);
          }
        },
        what);
    if (!done || parts <= 1 || (attempt > 0 && keys == before)) return done;
    before = std::move(keys);
  }
  return std::unexpected(unreadable(what, {"the kernel moves its elements all the time", EAGAIN}));
}

}  // namespace sentinel::io
