# The demo service over real loopback sockets, and as a process.
sentinel_test(io_demo io LINK demo_service SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/demo_process_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/demo_server_test.cpp)
target_compile_definitions(io_demo PRIVATE DEMO_SERVICE_PROGRAM="$<TARGET_FILE:demo-service>")
add_dependencies(io_demo demo-service)
