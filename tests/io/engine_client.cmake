sentinel_test(engine_client_test io LINK sentinel_io SOURCES
  engine_client_test.cpp engine_client_faults_test.cpp engine_own_test.cpp engine_queue_test.cpp container_logs_test.cpp local_caller_test.cpp
  ${PROJECT_SOURCE_DIR}/tests/support/scripted_engine.cpp)
target_include_directories(engine_client_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
