# Configuration, command line, API handlers: everything of the shell that needs no socket.
sentinel_test(unit_app unit LINK sentinel_app SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/app_config_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/app_yaml_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/app_targets_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/app_api_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/app_status_page_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/app_parts_test.cpp)
