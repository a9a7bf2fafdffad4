# Log lines, metrics and the text they are made of.
sentinel_test(unit_observe unit LINK sentinel_observe SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/observe_text_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/observe_log_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/observe_lines_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/observe_metrics_test.cpp)
