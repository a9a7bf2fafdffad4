# One interface target carries language level, warnings, sanitizers and hardening for all our own code.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# We have no modules; scanning for them slows every file down and keeps ccache from caching.
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
include(CheckPIESupported)
check_pie_supported()

add_library(sentinel_flags INTERFACE)
target_compile_options(sentinel_flags INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast
  -Wcast-align -Wunused -Woverloaded-virtual -Wnull-dereference -Wdouble-promotion -Wformat=2 -Wimplicit-fallthrough)
# -Wnull-dereference reasons through inlined library code and is wrong there under sanitizers.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(sentinel_flags INTERFACE -Wno-null-dereference -Wno-maybe-uninitialized)
endif()
target_include_directories(sentinel_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/monitor)

# Compile and link options that third-party translation units need as well.
add_library(sentinel_build INTERFACE)
if(SENTINEL_SANITIZE)
  target_compile_options(sentinel_build INTERFACE -fsanitize=${SENTINEL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  target_link_options(sentinel_build INTERFACE -fsanitize=${SENTINEL_SANITIZE})
  if(SENTINEL_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Asio keeps fences beside the mutexes that TSan does understand; GCC warns about each of them.
    target_compile_options(sentinel_build INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-tsan>)
  endif()
else()
  # OpenSSF compiler hardening guide; proven on the binary by a test.
  target_compile_options(sentinel_build INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>
    -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -D_GLIBCXX_ASSERTIONS
    -ffunction-sections -fdata-sections)
  target_link_options(sentinel_build INTERFACE -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--gc-sections -Wl,--as-needed)
  # A tenth of the space for the relocations of static libraries; the loader needs glibc 2.36.
  include(CheckLinkerFlag)
  check_linker_flag(CXX -Wl,-z,pack-relative-relocs SENTINEL_PACKS_RELOCATIONS)
  if(SENTINEL_PACKS_RELOCATIONS)
    target_link_options(sentinel_build INTERFACE -Wl,-z,pack-relative-relocs)
  endif()
endif()
if(SENTINEL_FUZZ)
  target_compile_options(sentinel_build INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_libraries(sentinel_flags INTERFACE sentinel_build)

# sentinel_room(NAME [LINK libs...]): the static library of one room, from all .cpp files of its directory.
function(sentinel_room name)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(NOT sources)
    # A room that holds headers only, so far, is a library all the same.
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${name}_room.cpp "")
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/${name}_room.cpp)
  endif()
  add_library(sentinel_${name} STATIC ${sources})
  target_link_libraries(sentinel_${name} PUBLIC ${arg_LINK} PRIVATE sentinel_flags)
  target_include_directories(sentinel_${name} PUBLIC ${PROJECT_SOURCE_DIR}/monitor)
endfunction()
