# The web console, built by npm and Vite into share/godwit/console beside bin/: where godwitd looks for it, in the build
# tree as after an installation. Without npm everything else is built, and godwitd says that it has no console.
find_program(GODWIT_NPM npm)
if(NOT GODWIT_NPM)
  message(STATUS "npm is not here: the web console is not built")
  return()
endif()

set(GODWIT_CONSOLE ${PROJECT_BINARY_DIR}/share/godwit/console)
set(console_folder ${PROJECT_SOURCE_DIR}/console)
file(GLOB_RECURSE console_sources CONFIGURE_DEPENDS ${console_folder}/src/* ${console_folder}/public/*)
set(console_frame ${console_folder}/package.json ${console_folder}/package-lock.json ${console_folder}/.npmrc)

add_custom_command(OUTPUT ${console_folder}/node_modules/.package-lock.json
  COMMAND ${GODWIT_NPM} ci --no-audit --no-fund --loglevel=error
  DEPENDS ${console_frame}
  WORKING_DIRECTORY ${console_folder}
  COMMENT "Fetching what the console is built with")
add_custom_command(OUTPUT ${GODWIT_CONSOLE}/index.html
  COMMAND ${GODWIT_NPM} run --silent check
  COMMAND ${GODWIT_NPM} run --silent build -- --logLevel warn --outDir ${GODWIT_CONSOLE} --emptyOutDir
  DEPENDS ${console_folder}/node_modules/.package-lock.json ${console_sources} ${console_folder}/index.html
    ${console_folder}/vite.config.ts ${console_folder}/tsconfig.json
  WORKING_DIRECTORY ${console_folder}
  COMMENT "Building the web console")
add_custom_target(console ALL DEPENDS ${GODWIT_CONSOLE}/index.html)
install(DIRECTORY ${GODWIT_CONSOLE} DESTINATION share/godwit)
