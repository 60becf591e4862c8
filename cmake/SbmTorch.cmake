# LibTorch from the pinned wheel, without its CMake package (which would ask for the CUDA toolkit).
# The CPU program links torch_cpu and c10 only.

if(SBM_TORCH_DIR)
  set(SBM_TORCH_ROOT "${SBM_TORCH_DIR}")
else()
  set(SBM_TORCH_ROOT "${PROJECT_SOURCE_DIR}/.deps/libtorch/torch")
endif()
if(NOT EXISTS "${SBM_TORCH_ROOT}/include/ATen/ATen.h")
  message(FATAL_ERROR "LibTorch not found: expected ${SBM_TORCH_ROOT}/include/ATen/ATen.h. "
                      "Run launch/setup.sh, or set SBM_TORCH_DIR to a LibTorch 2.11.0.")
endif()
file(STRINGS "${SBM_TORCH_ROOT}/include/torch/headeronly/version.h" version_lines
     REGEX "define TORCH_VERSION_(MAJOR|MINOR) ")
if(NOT "${version_lines}" MATCHES "MAJOR 2" OR NOT "${version_lines}" MATCHES "MINOR 11")
  message(FATAL_ERROR "LibTorch 2.11 expected in ${SBM_TORCH_ROOT}, found: ${version_lines}")
endif()

add_library(sbm_torch INTERFACE)
add_library(sbm::torch ALIAS sbm_torch)
# After the system's folders: the wheel carries its own fmt and protobuf headers, other versions.
target_compile_options(
  sbm_torch INTERFACE "SHELL:-idirafter ${SBM_TORCH_ROOT}/include"
                      "SHELL:-idirafter ${SBM_TORCH_ROOT}/include/torch/csrc/api/include")
target_link_libraries(sbm_torch INTERFACE "${SBM_TORCH_ROOT}/lib/libtorch_cpu.so"
                                          "${SBM_TORCH_ROOT}/lib/libc10.so")
target_link_options(
  sbm_torch INTERFACE "LINKER:-rpath,${SBM_TORCH_ROOT}/lib"
  "LINKER:-rpath-link,${SBM_TORCH_ROOT}/lib:${SBM_TORCH_ROOT}/../nvidia/cu13/lib")

# One precompiled header for every target that uses LibTorch: 4 s of parsing a file become 1.
add_library(sbm_torch_headers OBJECT "${PROJECT_SOURCE_DIR}/cmake/torch_headers.cpp")
target_link_libraries(sbm_torch_headers PRIVATE sbm::torch)
target_precompile_headers(sbm_torch_headers PRIVATE <ATen/ATen.h>)
