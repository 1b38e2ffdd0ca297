# Headers, the CMake package and the pkg-config file.
include(CMakePackageConfigHelpers)
set(attend_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/attend)

install(DIRECTORY include/attend DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS attend EXPORT attend)
install(EXPORT attend NAMESPACE attend:: FILE attend-targets.cmake DESTINATION ${attend_package_dir})

write_basic_package_version_file(${PROJECT_BINARY_DIR}/attend-config-version.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)  # 0.x: a minor version may break
install(FILES cmake/attend-config.cmake cmake/eigen.cmake cmake/compiled_target.cmake cmake/cuda_target.cmake
              cmake/attend_cuda.cu
              ${PROJECT_BINARY_DIR}/attend-config-version.cmake
        DESTINATION ${attend_package_dir})
install(DIRECTORY cmake/compiled DESTINATION ${attend_package_dir})

# Relative to where the file lies, so that the whole may be moved.
file(RELATIVE_PATH attend_pc_to_prefix /prefix/${CMAKE_INSTALL_DATADIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" attend_pc_to_prefix "${attend_pc_to_prefix}")
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY "\${prefix}" OUTPUT_VARIABLE attend_pc_includes)
configure_file(cmake/attend.pc.in ${PROJECT_BINARY_DIR}/attend.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/attend.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
