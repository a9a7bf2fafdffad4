# The dashboard as C++: what `docker/ui/run build DIRECTORY` left (index.html.gz and ui/*.gz), each file an array.
# It is looked for beside the build folder, so that the toolchain container needs no node. Where there is none, a page
# that says so takes its place.
set(SENTINEL_UI_DIR "${CMAKE_BINARY_DIR}/../ui-dist" CACHE PATH "Folder with the built dashboard")

# sentinel_ui_source(VARIABLE): writes the source, sets VARIABLE to its name. Anew whenever the files change.
function(sentinel_ui_source variable)
  set(folder ${SENTINEL_UI_DIR})
  file(GLOB found CONFIGURE_DEPENDS ${folder}/index.html.gz ${folder}/ui/*.gz)
  if(NOT EXISTS ${folder}/index.html.gz)
    message(STATUS "The dashboard is not built in: no index.html.gz in ${folder}")
    set(folder ${CMAKE_CURRENT_BINARY_DIR})
    set(page ${CMAKE_CURRENT_SOURCE_DIR}/ui/without.html)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
    file(ARCHIVE_CREATE OUTPUT ${folder}/index.html.gz PATHS ${page} FORMAT raw COMPRESSION GZip)
    set(found ${folder}/index.html.gz)
  endif()
  set(arrays "")
  set(entries "")
  set(index 0)
  foreach(file ${found})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(RELATIVE_PATH name ${folder} ${file})
    string(REGEX REPLACE "\\.gz$" "" name ${name})
    if(name MATCHES "\\.js$")
      set(type "text/javascript")
    elseif(name MATCHES "\\.css$")
      set(type "text/css")
    else()
      set(type "text/html")
    endif()
    if(name STREQUAL "index.html")
      set(path "/")
      set(immutable false)
    else()
      set(path "/${name}")
      set(immutable true)
    endif()
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
    file(SHA256 ${file} hash)
    string(SUBSTRING ${hash} 0 16 hash)
    string(APPEND arrays "constexpr char file_${index}[] = {${bytes}};\n")
    string(APPEND entries
      "  {\"${path}\", {{file_${index}, sizeof file_${index}}, \"${type}; charset=utf-8\", \"\\\"${hash}\\\"\", ${immutable}}},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  set(source ${CMAKE_CURRENT_BINARY_DIR}/ui_files.cpp)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [[
// Made by cmake/sentinel_ui.cmake.
#include "web/ui_asset.hpp"
namespace sentinel::web {
namespace {
@arrays@
constexpr UiFile files[] = {
@entries@};
}  // namespace
std::span<const UiFile> ui_files() { return files; }
}  // namespace sentinel::web
]])
  set(${variable} ${source} PARENT_SCOPE)
endfunction()
