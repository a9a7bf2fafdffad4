# Server, prober, store and runtime over real sockets, files and threads.
sentinel_test(io_http_test io LINK sentinel_io SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/http_server_parse_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/http_server_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/http_server_limits_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/http_server_later_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/http_turns_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/local_client_test.cpp)
sentinel_test(io_probe_test io LINK sentinel_io SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/http_probe_answer_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/prober_test.cpp)
sentinel_test(io_runtime_test io LINK sentinel_io SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/runtime_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/watchdog_test.cpp)
add_executable(watchdog_target ${CMAKE_CURRENT_LIST_DIR}/watchdog_target.cpp)
target_link_libraries(watchdog_target PRIVATE sentinel_io sentinel_flags)
target_compile_definitions(io_runtime_test PRIVATE WATCHDOG_TARGET="$<TARGET_FILE:watchdog_target>")
add_dependencies(io_runtime_test watchdog_target)

add_executable(store_writer ${CMAKE_CURRENT_LIST_DIR}/store_writer.cpp)
target_link_libraries(store_writer PRIVATE sentinel_io sentinel_flags)
sentinel_test(io_store_test io LINK sentinel_io SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/store_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/store_faults_test.cpp)
target_compile_definitions(io_store_test PRIVATE STORE_WRITER="$<TARGET_FILE:store_writer>")
add_dependencies(io_store_test store_writer)
