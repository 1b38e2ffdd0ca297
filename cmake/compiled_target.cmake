# attend::compiled, for the project itself and for the installed package: the same headers, and the host's paths compiled once
# instead of in each file that calls them. Built only if something links it, with the flags of the project that it is part of, in which the language CXX has to be on.
if(NOT DEFINED ATTEND_COMPILED_TYPES)
  set(ATTEND_COMPILED_TYPES f32 f64 f16 bf16)
endif()
if(CMAKE_CXX_COMPILER_LOADED AND NOT TARGET attend::compiled)
  list(TRANSFORM ATTEND_COMPILED_TYPES REPLACE ".+" "${CMAKE_CURRENT_LIST_DIR}/compiled/\\0.cpp" OUTPUT_VARIABLE attend_compiled_sources)
  add_library(attend_compiled STATIC EXCLUDE_FROM_ALL ${attend_compiled_sources} ${CMAKE_CURRENT_LIST_DIR}/compiled/flags.cpp)
  add_library(attend::compiled ALIAS attend_compiled)
  set_target_properties(attend_compiled PROPERTIES POSITION_INDEPENDENT_CODE ON)  # for shared libraries, too
  target_link_libraries(attend_compiled PUBLIC attend::attend)
  target_compile_definitions(attend_compiled PUBLIC ATTEND_COMPILED)
endif()
