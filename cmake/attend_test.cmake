# attend_test(NAME)
#   The GoogleTest program NAME_test, made of NAME/*.cpp, NAME/*/*.cpp and what each program has of its own. Each of its cases becomes one CTest test. Cases of
#   a suite whose name contains `Long` get the label `long`: they run only by hand (`tests/run --long`).
include(GoogleTest)

# Shared by all test programs: GoogleTest, the support folder, the library, warnings and one precompiled header.
file(GLOB attend_test_support CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/*.cpp)
add_library(attend_test_base STATIC ${PROJECT_SOURCE_DIR}/tests/support/precompiled.cpp ${attend_test_support})
target_link_libraries(attend_test_base PUBLIC attend::compiled attend_warnings GTest::gmock)
target_include_directories(attend_test_base PUBLIC ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(attend_test_base PUBLIC
  EIGEN_USE_THREADS ATTEND_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
target_precompile_headers(attend_test_base PRIVATE <gmock/gmock.h> <gtest/gtest.h> <attend/attend.hpp>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)  # forgets, in a precompiled header, the pragmas that silence it about its intrinsics
  target_compile_options(attend_test_base PUBLIC -Wno-maybe-uninitialized -Wno-uninitialized)
endif()

function(attend_test name)
  set(folder ${PROJECT_SOURCE_DIR}/tests/${name})
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*.cpp ${folder}/*/*.cpp)
  add_executable(${name}_test ${files})
  if(NOT ATTEND_SANITIZE MATCHES thread)  # which brings an operator new of its own
    target_sources(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/program/poisoned_memory.cpp)
  endif()
  target_link_libraries(${name}_test PRIVATE attend_test_base GTest::gmock_main)
  target_precompile_headers(${name}_test REUSE_FROM attend_test_base)
  gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST TEST_FILTER -*Long* TEST_PREFIX ${name}/
    PROPERTIES TIMEOUT 300 LABELS ${name})
  gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST TEST_FILTER *Long* TEST_PREFIX ${name}/ TEST_LIST ${name}_long
    PROPERTIES TIMEOUT 3600 LABELS long)
endfunction()
