# attend::cuda, for the project itself and for the installed package: attend/cuda.hpp and the kernels behind it, as one .cu
# file of the target that links it. The language CUDA has to be on; it brings its runtime library itself.
if(NOT TARGET attend::cuda)
  add_library(attend_cuda INTERFACE)
  add_library(attend::cuda ALIAS attend_cuda)
  target_link_libraries(attend_cuda INTERFACE attend::attend CUDA::toolkit)
  target_sources(attend_cuda INTERFACE ${CMAKE_CURRENT_LIST_DIR}/attend_cuda.cu)
  # CMake 3.25 lacks cuda_std_20 for CUDA 13. Lambdas may be functions of a user's.
  target_compile_options(attend_cuda INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--extended-lambda>"
    "$<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:--threads=0>")  # architectures beside each other
endif()
