# What receivers of alerts are sent, and how the configuration names them.
sentinel_test(unit_alert_channels unit LINK sentinel_app SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/alert_text_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/alert_channels_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/alert_mail_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/alert_template_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/alert_receivers_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/alert_relay_test.cpp)
