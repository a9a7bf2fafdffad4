# The demo service without its sockets, the rules Prometheus loads, and the units systemd loads.
sentinel_test(unit_demo unit LINK demo_service SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/demo_app_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/demo_duration_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/demo_faults_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/demo_options_test.cpp)

find_program(PROMTOOL promtool REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME "unit: alert rules fire when they should"
  COMMAND ${PROMTOOL} test rules ${PROJECT_SOURCE_DIR}/tests/rules/sentinel_test.yml
    ${PROJECT_SOURCE_DIR}/tests/rules/failover_test.yml)
add_test(NAME "unit: alerts, runbooks, dashboard and metrics belong together"
  COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/rules/check_assets.py)
add_test(NAME "unit: systemd takes the units, and they share no directory"
  COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/rules/check_units.py)
set_tests_properties("unit: alert rules fire when they should"
  "unit: alerts, runbooks, dashboard and metrics belong together"
  "unit: systemd takes the units, and they share no directory" PROPERTIES LABELS unit)
