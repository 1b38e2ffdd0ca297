include(GNUInstallDirs)

add_library(attend INTERFACE)
add_library(attend::attend ALIAS attend)
target_compile_features(attend INTERFACE cxx_std_20)
target_link_libraries(attend INTERFACE Eigen3::Eigen Threads::Threads)

# What our own programs are compiled with.
add_library(attend_warnings INTERFACE)
target_compile_options(attend_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wconversion;-Werror> $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)

include(${CMAKE_CURRENT_LIST_DIR}/compiled_target.cmake)
if(PROJECT_IS_TOP_LEVEL)
  target_link_libraries(attend_compiled PRIVATE attend_warnings)
endif()
if(ATTEND_BUILD_TESTS)  # the tests run what needs an instruction set that this machine lacks, too
  target_compile_definitions(attend_compiled PUBLIC ATTEND_EMULATED_ENGINES)
endif()
if(ATTEND_SANITIZE)
  target_compile_options(attend_compiled PUBLIC -fsanitize=${ATTEND_SANITIZE} -fno-omit-frame-pointer
                                                -fno-sanitize-recover=all
    $<$<CXX_COMPILER_ID:Clang>:-fsanitize-ignorelist=${CMAKE_CURRENT_LIST_DIR}/sanitizers.ignore>)
  target_link_options(attend_compiled PUBLIC -fsanitize=${ATTEND_SANITIZE})
endif()

# Inside another project our headers are system headers, so that the user's warnings stay the user's. Here they
# are not: our own warnings must be seen.
if(PROJECT_IS_TOP_LEVEL)
  set(attend_system "")
else()
  set(attend_system SYSTEM)
endif()
target_include_directories(attend ${attend_system} INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
