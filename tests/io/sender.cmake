# Sending of alerts to peers that follow a script.
sentinel_test(io_sender_test io LINK sentinel_io SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/scripted_peer.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tls_fixture.cpp
  ${CMAKE_CURRENT_LIST_DIR}/sender_http_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/sender_relay_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/sender_smtp_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/sender_turns_test.cpp)
