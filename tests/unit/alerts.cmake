# Incidents and alerts, scripted.
sentinel_test(unit_alerts unit LINK sentinel_core SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/core_alert_incident_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/core_alert_outbox_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/core_relay_test.cpp)
target_include_directories(unit_alerts PRIVATE ${PROJECT_SOURCE_DIR}/tests)
