# The failover's configuration, what it keeps, and what its preflight says.
sentinel_test(unit_app_failover unit LINK sentinel_app SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/app_failover_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/app_preflight_test.cpp)
