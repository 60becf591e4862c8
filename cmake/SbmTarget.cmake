# How every target of this project is compiled: warnings as errors, sanitizers, reproducible floats.

find_program(SBM_CCACHE ccache)
if(SBM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # ccache keeps objects that use a precompiled header only when it may trust the header's date. With
  # paths taken relative to the source folder, every build folder and every clone shares its objects.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${SBM_CCACHE})
endif()

# Fused multiply-adds are written where they are wanted: contraction by the compiler would make sums
# depend on how a loop happened to be vectorised.
add_compile_options(-Wall -Wextra -Werror -ffp-contract=off)

# The build type of the sanitizers: line numbers, and half the compiling time of -O2 -g.
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1")
if(SBM_SANITIZE)
  add_compile_options(-fsanitize=${SBM_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all
                      # Instrumented code of the standard library looks uninitialised to g++ 12.
                      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  add_link_options(-fsanitize=${SBM_SANITIZE})
endif()

if(SBM_FUZZ)
  # Marks of the ways that were taken, for the fuzzer to follow.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Compiles `target` against LibTorch, with the shared precompiled header.
function(sbm_use_torch target)
  target_link_libraries(${target} PUBLIC sbm::torch)
  target_precompile_headers(${target} REUSE_FROM sbm_torch_headers)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    # The header was compiled with -fPIC; CMake would give an executable -fPIE, and the two differ.
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
endfunction()

# sbm_add_library(NAME SOURCES file... LINK target...): one folder of the house as one target,
# known to others as sbm::NAME.
function(sbm_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
  add_library(sbm_${name} STATIC ${arg_SOURCES})
  add_library(sbm::${name} ALIAS sbm_${name})
  target_link_libraries(sbm_${name} PUBLIC sbm::base ${arg_LINK})
endfunction()

# sbm_generate_proto(VARIABLE PATH): compiles PATH (relative to the root, so that every message file
# has one name in the process) and puts the generated sources into VARIABLE. Headers are included by
# the same path: "data/dataset_index.pb.h".
function(sbm_generate_proto variable path)
  string(REGEX REPLACE "\\.proto$" "" stem "${path}")
  set(outputs "${PROJECT_BINARY_DIR}/generated/${stem}.pb.cc"
              "${PROJECT_BINARY_DIR}/generated/${stem}.pb.h")
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/generated")
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND protobuf::protoc --proto_path=${PROJECT_SOURCE_DIR}
            --cpp_out=${PROJECT_BINARY_DIR}/generated ${path}
    DEPENDS "${PROJECT_SOURCE_DIR}/${path}"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    COMMENT "Generating ${stem}.pb.h"
    VERBATIM)
  set_source_files_properties(${outputs} PROPERTIES COMPILE_OPTIONS "-w" SKIP_PRECOMPILE_HEADERS ON)
  set(${variable} ${outputs} PARENT_SCOPE)
endfunction()
