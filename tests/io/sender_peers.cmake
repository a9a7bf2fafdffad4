# Sending of alerts to real servers: OpenSMTPD, Alertmanager.
sentinel_test(io_sender_peers_test io LINK sentinel_io SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/scripted_peer.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tls_fixture.cpp
  ${CMAKE_CURRENT_LIST_DIR}/sender_mail_server_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/sender_programs_test.cpp)
