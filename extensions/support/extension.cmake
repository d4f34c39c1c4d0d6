include(GNUInstallDirs)

# godwit_extension(step-script SOURCES step_script.cpp LINKS step_script_core) makes lib/godwit-step-script.so.
function(godwit_extension name)
  cmake_parse_arguments(E "" "" "SOURCES;LINKS" ${ARGN})
  string(REPLACE "-" "_" target ${name})
  add_library(${target} MODULE ${E_SOURCES})
  set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME godwit-${name})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/extensions ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target} PRIVATE ${E_LINKS} godwit_contracts godwit_boost)
  target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL)
  set_property(GLOBAL APPEND PROPERTY GODWIT_EXTENSIONS ${target})
  install(TARGETS ${target} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/godwit COMPONENT agent)
endfunction()
