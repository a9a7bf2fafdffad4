#include "web/ui_asset.hpp"

#include <algorithm>

namespace sentinel::web {

const UiAsset* ui_asset(std::string_view path) {
  if (path == "/status") {
    path = "/";
  }
  const auto files = ui_files();
  const auto found = std::ranges::find(files, path, &UiFile::path);
  return found == files.end() ? nullptr : &found->asset;
}

}  // namespace sentinel::web
