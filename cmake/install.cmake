# Headers, the CMake package and the pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(attend_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/attend)

install(DIRECTORY include/attend DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS attend EXPORT attend)
install(EXPORT attend NAMESPACE attend:: FILE attend-targets.cmake DESTINATION ${attend_package_dir})

write_basic_package_version_file(${PROJECT_BINARY_DIR}/attend-config-version.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)  # 0.x: a minor version may break
install(FILES cmake/attend-config.cmake cmake/eigen.cmake cmake/cuda_target.cmake cmake/attend_cuda.cu
              ${PROJECT_BINARY_DIR}/attend-config-version.cmake
        DESTINATION ${attend_package_dir})

configure_file(cmake/attend.pc.in ${PROJECT_BINARY_DIR}/attend.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/attend.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
