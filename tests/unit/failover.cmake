# The failover's decisions, scripted.
sentinel_test(unit_failover unit LINK sentinel_core SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/core_pool_slots_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/core_failover_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/core_failover_blind_test.cpp)
target_include_directories(unit_failover PRIVATE ${PROJECT_SOURCE_DIR}/tests)
