# What is built. Everything is off inside another project.
option(ATTEND_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(ATTEND_BUILD_BENCH "Build attend_bench" ${PROJECT_IS_TOP_LEVEL})
option(ATTEND_INSTALL "Install the headers and the CMake package" ${PROJECT_IS_TOP_LEVEL})
set(ATTEND_CUDA OFF CACHE STRING "Build what needs the CUDA compiler: ON, OFF, or AUTO (where there is one)")
set(ATTEND_COMPILED_TYPES f32 f64 f16 bf16 CACHE STRING "Element types of attend::compiled; with others a program does not link")
set(ATTEND_TESTS all CACHE STRING
    "Folders of tests/ to build; `units`: those made of GoogleTest files alone; `all`: all but fuzz")
set(ATTEND_TEST_CUDA_ARCHITECTURES "75-virtual;80-virtual;90a-virtual" CACHE STRING
    "What the tests' kernels are compiled for: PTX, which the emulated GPU reads, or a real GPU's architecture")
set(ATTEND_SANITIZE "" CACHE STRING "Sanitizers of the tests, e.g. address,undefined")

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release)
  endif()
  find_program(attend_ccache ccache)
  if(attend_ccache AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # Precompiled headers are only cached with these two looser rules.
    set(CMAKE_CXX_COMPILER_LAUNCHER
        ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${attend_ccache})
  endif()
endif()
