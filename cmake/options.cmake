# Compilers, warnings, sanitizers and the libraries that every room may ask for.
option(GODWIT_TESTS "Build unit and integration tests" ON)
option(GODWIT_BENCH "Build the benchmarks" OFF)
option(GODWIT_FUZZ "Build the fuzz targets (clang only)" OFF)
option(GODWIT_STRICT "Warnings are errors; off for a compiler that nobody here has tried" ON)
set(GODWIT_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

find_program(GODWIT_CCACHE ccache)
if(GODWIT_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${GODWIT_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${GODWIT_CCACHE})
endif()

# g++ judges warnings; clang only builds the fuzz targets and warns of other things.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow $<$<AND:$<BOOL:${GODWIT_STRICT}>,$<NOT:$<BOOL:${GODWIT_FUZZ}>>>:-Werror> -fno-omit-frame-pointer -fstack-protector-strong
                    $<$<COMPILE_LANGUAGE:CXX>:-Wconversion>
                    -ffunction-sections -fdata-sections
                    $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
# g++ 12 at -O2 takes the inline buffer of a moved std::string inside an expected<> for uninitialised (a known false alarm of
# that version); clang-tidy and the sanitizers look for the real ones.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Wno-maybe-uninitialized)
endif()
add_link_options(-Wl,--gc-sections -Wl,-z,relro,-z,now)
if(GODWIT_SANITIZE)
  add_compile_options(-fsanitize=${GODWIT_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${GODWIT_SANITIZE})
endif()
add_compile_definitions(GODWIT_VERSION="${PROJECT_VERSION}")

find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(fmt REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(CURL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(zstd CONFIG QUIET)
if(NOT TARGET zstd::libzstd_shared)  # zstd's own makefile installs no file for CMake; OpenEmbedded builds it by that
  find_path(GODWIT_ZSTD_INCLUDE zstd.h REQUIRED)
  find_library(GODWIT_ZSTD_LIBRARY zstd REQUIRED)
  add_library(zstd::libzstd_shared UNKNOWN IMPORTED)
  set_target_properties(zstd::libzstd_shared PROPERTIES IMPORTED_LOCATION ${GODWIT_ZSTD_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${GODWIT_ZSTD_INCLUDE})
endif()
if(GODWIT_TESTS)
  find_package(GTest REQUIRED)
endif()

# Headers of libraries we did not write are not ours to warn about.
add_library(godwit_boost INTERFACE)
target_include_directories(godwit_boost SYSTEM INTERFACE ${Boost_INCLUDE_DIRS})
