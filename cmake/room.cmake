# A room is one static library with its unit tests beside the sources.
#   godwit_room(core_twin SOURCES twin.cpp TESTS twin_test.cpp LINKS core_base)
# makes target core_twin, and core_twin_test (GoogleTest, registered with CTest) when tests are on.
function(godwit_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;TESTS;LINKS;TEST_LINKS" ${ARGN})
  add_library(${name} STATIC ${ROOM_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${name} PUBLIC ${ROOM_LINKS} godwit_boost)
  if(GODWIT_TESTS AND ROOM_TESTS)
    godwit_test(${name}_test SOURCES ${ROOM_TESTS} LINKS ${name} ${ROOM_TEST_LINKS})
  endif()
endfunction()

# godwit_files(hub "*.cpp" "query/*.cpp") sets hub_sources and hub_tests: what ends in _test.cpp is a test. A new file
# needs no line here.
function(godwit_files name)
  file(GLOB found CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} ${ARGN})
  set(tests ${found})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER found EXCLUDE REGEX "_test\\.cpp$")
  set(${name}_sources ${found} PARENT_SCOPE)
  set(${name}_tests ${tests} PARENT_SCOPE)
endfunction()

function(godwit_test name)
  cmake_parse_arguments(T "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${T_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${T_LINKS} GTest::gtest GTest::gmock GTest::gtest_main)
  # Tests are compiled far more often than their own code matters: without optimisation in half the time.
  target_compile_options(${name} PRIVATE -O0)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

# All fuzz targets in one, for ./dev fuzz.
if(GODWIT_FUZZ)
  add_custom_target(fuzzers)
endif()

# godwit_fuzz(mqtt SOURCES fuzz_mqtt.cpp LINKS core_mqtt): a libFuzzer target, clang only.
function(godwit_fuzz name)
  cmake_parse_arguments(F "" "" "SOURCES;LINKS" ${ARGN})
  if(NOT GODWIT_FUZZ)
    return()
  endif()
  add_executable(fuzz_${name} ${F_SOURCES})
  target_include_directories(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(fuzz_${name} PRIVATE ${F_LINKS})
  target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers fuzz_${name})
endfunction()
