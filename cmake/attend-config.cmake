# find_package(attend) reads this file; it gives the target attend::attend.
include(${CMAKE_CURRENT_LIST_DIR}/eigen.cmake)
if(NOT attend_missing)
  include(${CMAKE_CURRENT_LIST_DIR}/attend-targets.cmake)
endif()
