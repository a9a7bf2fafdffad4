# The demo service without its sockets, and the rules Prometheus loads.
sentinel_test(unit_demo unit LINK demo_service SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/demo_app_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/demo_duration_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/demo_faults_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/demo_options_test.cpp)
