# attend_cuda_emulated: the kernels as the emulated GPU (tests/gpu) reads them: plain PTX; -lineinfo gives its reports their
# lines. Programs that link it run on the emulated GPU where LD_LIBRARY_PATH leads to it, else on a real one.
if(NOT TARGET attend_cuda_emulated)
  add_library(attend_cuda_emulated STATIC EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/cmake/attend_cuda.cu)
  set_target_properties(attend_cuda_emulated PROPERTIES CUDA_ARCHITECTURES "${ATTEND_TEST_CUDA_ARCHITECTURES}" CUDA_RUNTIME_LIBRARY Shared
                        POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(attend_cuda_emulated PUBLIC attend::attend CUDA::cudart PRIVATE attend_warnings)
  set(attend_cuda_ptx ${CMAKE_CURRENT_BINARY_DIR}/ptx)  # where the text of each architecture is kept
  file(MAKE_DIRECTORY ${attend_cuda_ptx})
  target_compile_options(attend_cuda_emulated PRIVATE
    -std=c++20 --extended-lambda --no-compress -lineinfo -Wno-deprecated-gpu-targets --threads=0
    --keep --keep-dir=${attend_cuda_ptx})
  target_link_options(attend_cuda_emulated INTERFACE -Wl,--enable-new-dtags)
endif()
