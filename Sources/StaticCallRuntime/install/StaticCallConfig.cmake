# find_package(StaticCall) gives
#   StaticCall::runtime     the library and its header
#   static_call_annotate()  has all objects of C and C++ that are compiled in this directory and below annotated

get_filename_component(_static_call_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET StaticCall::runtime)
  find_package(Threads REQUIRED)
  add_library(StaticCall::runtime STATIC IMPORTED)
  set_target_properties(StaticCall::runtime PROPERTIES
    IMPORTED_LOCATION "${_static_call_prefix}/lib/libstaticcall.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_static_call_prefix}/include"
    INTERFACE_LINK_LIBRARIES Threads::Threads)
endif()

find_program(STATICCALL_EXECUTABLE staticcall HINTS "${_static_call_prefix}/bin" DOC "annotates objects")

# A macro, because the rules are variables of the directory that calls it. They run after each object is compiled.
macro(static_call_annotate)
  if(NOT STATICCALL_EXECUTABLE)
    message(FATAL_ERROR "staticcall is not in PATH; set STATICCALL_EXECUTABLE")
  endif()
  foreach(_static_call_language C CXX)
    list(APPEND CMAKE_${_static_call_language}_COMPILE_OBJECT "\"${STATICCALL_EXECUTABLE}\" annotate --abi user <OBJECT>")
  endforeach()
endmacro()
