sentinel_test(unit_core unit LINK sentinel_core SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/core_parts_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/core_judgement_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/core_needs_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/core_alert_facts_test.cpp)
