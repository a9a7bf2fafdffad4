# Libraries that have no place in the image's root when Debian brings an archive of them.

# sentinel_library(TARGET ARCHIVE NAME [LINK libs...]): the archive in a release, else the shared library.
function(sentinel_library target archive name)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    set(names ${archive} ${name})
  else()
    set(names ${name} ${archive})
  endif()
  find_library(${target}_FILE NAMES ${names} REQUIRED)
  add_library(${target} INTERFACE)
  target_link_libraries(${target} INTERFACE ${${target}_FILE} ${arg_LINK})
endfunction()

sentinel_library(sentinel_cares libcares.a cares)

# sentinel_re2: RE2 and the parts of Abseil it needs, from their archives: as shared libraries they
# would be some thirty files in the image.
find_package(PkgConfig REQUIRED)
pkg_check_modules(RE2 REQUIRED re2>=11)
set(re2_archives ${RE2_STATIC_LIBRARIES})
list(REMOVE_DUPLICATES re2_archives)
list(FILTER re2_archives INCLUDE REGEX "^(re2|absl_)")
list(TRANSFORM re2_archives PREPEND "-l")
list(JOIN re2_archives " " re2_archives)
add_library(sentinel_re2 INTERFACE)
# One item, so that CMake neither sorts nor drops what stands between the two switches.
target_link_libraries(sentinel_re2 INTERFACE
  "-Wl,-Bstatic -Wl,--start-group ${re2_archives} -Wl,--end-group -Wl,-Bdynamic")
target_include_directories(sentinel_re2 SYSTEM INTERFACE ${RE2_INCLUDE_DIRS})
