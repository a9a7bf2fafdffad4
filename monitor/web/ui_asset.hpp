#pragma once

// The files of the dashboard (monitor/web/ui), as the build embeds them. Where it was built without
// one (SENTINEL_UI_DIR names no folder), there is a page that says so.

#include <span>
#include <string_view>

namespace sentinel::web {

struct UiAsset {
  std::string_view gzip;  // the compressed bytes, as they are sent with Content-Encoding: gzip
  std::string_view content_type;  // with charset
  std::string_view etag;          // strong, with its quotes
  bool immutable = false;  // its name changes with its content: browsers may keep it for ever
};

struct UiFile {
  std::string_view path;  // of a request; the page is at "/"
  UiAsset asset;
};

/// All there are.
std::span<const UiFile> ui_files();

/// What belongs at the path of a request, without query: the page at "/" and "/status", its script
/// and style sheet below
/// "/ui/". Null where nothing is; what it points to lives as long as the process.
const UiAsset* ui_asset(std::string_view path);

/// The Content-Security-Policy of the page: its own scripts, styles and connections, and nothing
/// else.
inline constexpr std::string_view ui_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' "
    "data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace sentinel::web
