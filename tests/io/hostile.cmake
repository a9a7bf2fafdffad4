# Probes of every kind against peers that break off, drag on, lie and flood.
sentinel_test(io_hostile_test io LINK sentinel_io SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/scripted_peer.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tls_fixture.cpp
  ${CMAKE_CURRENT_LIST_DIR}/hostile_dns_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/hostile_http_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/hostile_icmp_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/hostile_smtp_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/hostile_tcp_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/hostile_tls_test.cpp)
