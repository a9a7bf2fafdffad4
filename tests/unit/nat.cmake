# Addresses, and the NAT table as a value (with properties: rapidcheck).
sentinel_test(unit_nat unit LINK sentinel_core rapidcheck SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/core_ip_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/core_nat_test.cpp)
