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
