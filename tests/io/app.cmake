# The program itself, as a process of its own: exit status, start and stop, reload, with the Engine absent.
sentinel_test(io_app io LINK sentinel_io SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/app_process.cpp
  ${CMAKE_CURRENT_LIST_DIR}/app_command_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/app_monitor_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/app_probe_test.cpp)
target_compile_definitions(io_app PRIVATE SENTINEL_PROGRAM="$<TARGET_FILE:sentinel>")
add_dependencies(io_app sentinel)
