# The failover's configuration and what it keeps.
sentinel_test(unit_app_failover unit LINK sentinel_app SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/app_failover_test.cpp)
