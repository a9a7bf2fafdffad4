# The dashboard as it is embedded.
sentinel_test(unit_web_ui unit LINK sentinel_web ZLIB::ZLIB SOURCES ${CMAKE_CURRENT_LIST_DIR}/web_ui_test.cpp)
