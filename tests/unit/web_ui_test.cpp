// The dashboard as it is embedded: whole, compressed, and nothing beside it.

#include <zlib.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <string_view>

#include "web/ui_asset.hpp"

using namespace sentinel;

namespace {

std::string inflated(std::string_view gzip) {
  z_stream stream{};
  REQUIRE(inflateInit2(&stream, 16 + MAX_WBITS) == Z_OK);
  std::string in{gzip};
  std::string out;
  std::array<Bytef, 4096> part{};
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  auto status = Z_OK;
  while (status == Z_OK) {
    stream.next_out = part.data();
    stream.avail_out = static_cast<uInt>(part.size());
    status = inflate(&stream, Z_NO_FLUSH);
    out.append(reinterpret_cast<const char*>(part.data()), part.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  REQUIRE(status == Z_STREAM_END);
  REQUIRE(stream.avail_in == 0);
  return out;
}

}  // namespace

TEST_CASE("the page is at its two addresses") {
  const auto* const page = web::ui_asset("/");
  REQUIRE(page != nullptr);
  CHECK(page == web::ui_asset("/status"));
  CHECK(page->content_type == "text/html; charset=utf-8");
  CHECK_FALSE(page->immutable);
  const auto text = inflated(page->gzip);
  CHECK(text.starts_with("<!doctype html>"));
  CHECK(text.ends_with("</html>\n"));
}

TEST_CASE("each file of the dashboard is whole, may be kept, and is named by the page") {
  std::set<std::string_view> etags;
  for (const auto& [path, asset] : web::ui_files()) {
    CAPTURE(path);
    CHECK(&asset == web::ui_asset(path));
    CHECK(asset.etag.size() == 18);
    CHECK(asset.etag.front() == '"');
    CHECK(asset.etag.back() == '"');
    CHECK(etags.insert(asset.etag).second);
    CHECK_FALSE(inflated(asset.gzip).empty());
    if (path != "/") {
      CHECK(asset.immutable);
      CHECK(path.starts_with("/ui/app-"));
      CHECK(asset.content_type ==
            (path.ends_with(".js") ? "text/javascript; charset=utf-8" : "text/css; charset=utf-8"));
      CHECK(inflated(web::ui_asset("/")->gzip).contains(path.substr(1)));
    }
  }
}

TEST_CASE("nothing else is found") {
  for (const auto* const path :
       {"", "/index.html", "/ui", "/ui/", "/ui/app.js", "//", "/status/", "/ui/../", "/?x"}) {
    CAPTURE(path);
    CHECK(web::ui_asset(path) == nullptr);
  }
}
