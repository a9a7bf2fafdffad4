# The kernel's NAT table and connection tracking, in network namespaces of their own.
sentinel_test(io_nat_test io LINK sentinel_io SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/nat_kernel_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/nat_traffic_test.cpp)
