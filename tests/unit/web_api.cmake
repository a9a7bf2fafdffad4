# The API without a socket: events, guard, history, alerts and the status page.
sentinel_test(unit_web_api unit LINK sentinel_web SOURCES ${CMAKE_CURRENT_LIST_DIR}/web_live_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/web_history_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/web_relay_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/web_pools_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/web_spared_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/web_status_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/web_status_past_test.cpp)
