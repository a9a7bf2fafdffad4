# The journal over real files and threads.
sentinel_test(io_journal_test io LINK sentinel_io SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/journal_test.cpp)
