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
  # Imported, so that an archive stands before what it needs in every link.
  add_library(${target} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${${target}_FILE}")
  target_link_libraries(${target} INTERFACE ${arg_LINK})
endfunction()

sentinel_library(sentinel_cares libcares.a cares)
sentinel_library(sentinel_zstd libzstd.a zstd)
sentinel_library(sentinel_crypto libcrypto.a crypto LINK sentinel_zstd ZLIB::ZLIB ${CMAKE_DL_LIBS} Threads::Threads)
sentinel_library(sentinel_ssl libssl.a ssl LINK sentinel_crypto)

# libcurl: the small archive of docker/toolchain/build-curl where it was built (docs/adr/0005), else the
# distribution's shared library, which does the same and brings two dozen more.
find_library(SENTINEL_CURL NAMES libcurl.a PATHS /usr/local/lib NO_DEFAULT_PATH)
if(NOT SENTINEL_CURL)
  find_library(SENTINEL_CURL NAMES curl REQUIRED)
endif()
add_library(sentinel_curl UNKNOWN IMPORTED GLOBAL)
set_target_properties(sentinel_curl PROPERTIES IMPORTED_LOCATION "${SENTINEL_CURL}")
target_link_libraries(sentinel_curl INTERFACE sentinel_ssl sentinel_cares)

# RE2 and the parts of Abseil it needs, as archives always: as shared libraries they are three dozen.
find_package(PkgConfig REQUIRED)
pkg_check_modules(SENTINEL_RE2 REQUIRED re2)
set(re2_archives)
foreach(name ${SENTINEL_RE2_STATIC_LIBRARIES})
  find_library(SENTINEL_ARCHIVE_${name} NAMES lib${name}.a)
  if(SENTINEL_ARCHIVE_${name} AND name MATCHES "^(re2$|absl_)")
    list(APPEND re2_archives ${SENTINEL_ARCHIVE_${name}})
  endif()
endforeach()
list(REMOVE_DUPLICATES re2_archives)
add_library(sentinel_re2 INTERFACE)
target_link_libraries(sentinel_re2 INTERFACE -Wl,--start-group ${re2_archives} -Wl,--end-group Threads::Threads)
