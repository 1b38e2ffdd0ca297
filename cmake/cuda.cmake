# The CUDA language, for the parts that need the CUDA compiler. CMake's own default architecture is 75, which has no
# flash path at all, and `native` fails on a machine without a GPU; so the default is set before the language is.
if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES "80;90a")
endif()
# Where cmake/setup_cuda looks, and where it installs.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  file(GLOB attend_cuda_wheels ${PROJECT_SOURCE_DIR}/.cache/cuda-*/nvidia/cu*/bin)
  find_program(attend_nvcc nvcc HINTS $ENV{CUDA_HOME}/bin PATHS /usr/local/cuda/bin ${attend_cuda_wheels})
  mark_as_advanced(attend_nvcc)
  if(attend_nvcc)
    set(ENV{CUDACXX} ${attend_nvcc})
  endif()
endif()
if(ATTEND_CUDA STREQUAL "AUTO")
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    message(NOTICE "attend: no CUDA compiler; what needs one is left out")
    set(ATTEND_CUDA OFF)
    return()
  endif()
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)

# attend::cuda: attend/cuda.hpp and the kernels behind it, as one .cu file of the target that links it.
add_library(attend_cuda INTERFACE)
add_library(attend::cuda ALIAS attend_cuda)
set_target_properties(attend_cuda PROPERTIES EXPORT_NAME cuda)
target_link_libraries(attend_cuda INTERFACE attend::attend CUDA::cudart)
# CMake 3.25 lacks cuda_std_20 for CUDA 13. Lambdas may be functions of a user's.
target_compile_options(attend_cuda INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--extended-lambda>")
target_sources(attend_cuda INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_LIST_DIR}/attend_cuda.cu>)
