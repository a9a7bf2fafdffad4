# Protocols that probes speak.
sentinel_test(protocol_wire_test unit LINK sentinel_protocol SOURCES
  protocol_dns_test.cpp protocol_smtp_test.cpp protocol_icmp_test.cpp protocol_exec_stream_test.cpp)
