# Probes of the other protocols, against scripted peers.
sentinel_test(io_probe_exec_test io LINK sentinel_io SOURCES
  probe_exec_test.cpp ${PROJECT_SOURCE_DIR}/tests/support/scripted_engine.cpp)
target_include_directories(io_probe_exec_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
