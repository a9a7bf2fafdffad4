sentinel_test(protocol_test unit LINK sentinel_protocol SOURCES
  protocol_escape_test.cpp protocol_settings_test.cpp protocol_labels_test.cpp protocol_json_test.cpp
  protocol_engine_json_test.cpp protocol_inspect_test.cpp protocol_events_test.cpp protocol_http_test.cpp
  protocol_session_test.cpp)
