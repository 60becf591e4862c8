# What CUDA there is: for the kernels its compiler, for the program LibTorch's CUDA libraries.
#
# CUDA's compiler and headers: the machine's toolkit, or the one that launch/setup.sh unpacks into
# .deps/cuda. Sets SBM_CUDA_ROOT, empty where there is none.

set(SBM_CUDA_DIR "$ENV{CUDA_HOME}" CACHE PATH "Folder of a CUDA 13 toolkit; empty: found by itself")
set(SBM_CUDA_ROOT "")
foreach(folder "${SBM_CUDA_DIR}" /usr/local/cuda "${PROJECT_SOURCE_DIR}/.deps/cuda/nvidia/cu13")
  set(header "${folder}/include/cuda_runtime_api.h")
  if(folder AND EXISTS "${folder}/bin/nvcc" AND EXISTS "${header}")
    file(STRINGS "${header}" version_line REGEX "define CUDART_VERSION +13")
    if(version_line)
      set(SBM_CUDA_ROOT "${folder}")
      break()
    endif()
  endif()
endforeach()

# The kernels and the bench that runs them are built once: the bench has sanitizers of its own.
if(SBM_CUDA_ROOT AND NOT SBM_SANITIZE AND NOT CMAKE_CROSSCOMPILING)
  set(SBM_WITH_CUDA_KERNELS ON)
else()
  set(SBM_WITH_CUDA_KERNELS OFF)
endif()

# sbm_choose_by_device(VARIABLE): of the sources in VARIABLE leaves those of this build. A file NAME_cuda.cpp, which may
# include headers of CUDA and NCCL, belongs to a build with SBM_WITH_CUDA; NAME_cpu_only.cpp, which defines the same
# functions without them, to any other. Nothing else differs between the two, so ccache shares their objects.
function(sbm_choose_by_device variable)
  set(sources "${${variable}}")
  if(SBM_WITH_CUDA)
    list(FILTER sources EXCLUDE REGEX "_cpu_only\\.cpp$")
    foreach(source ${sources})
      if(source MATCHES "_cuda\\.cpp$")
        set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "${SBM_CUDA_HEADERS}")
      endif()
    endforeach()
  else()
    list(FILTER sources EXCLUDE REGEX "_cuda\\.cpp$")
  endif()
  set(${variable} "${sources}" PARENT_SCOPE)
endfunction()

if(NOT SBM_WITH_CUDA)
  return()
endif()
if(NOT SBM_WITH_CUDA_KERNELS)
  message(FATAL_ERROR "SBM_WITH_CUDA needs nvcc of CUDA 13 and no sanitizer, found "
                      "SBM_CUDA_ROOT '${SBM_CUDA_ROOT}', SBM_SANITIZE '${SBM_SANITIZE}'. "
                      "Run launch/setup.sh --cuda, or set SBM_CUDA_DIR.")
endif()
if(NOT SBM_WITH_TORCH)
  message(FATAL_ERROR "SBM_WITH_CUDA needs SBM_WITH_TORCH")
endif()

# The wheels lie beside torch, where torch's own search path has them: one CUDA runtime and one NCCL in a process.
set(SBM_NVIDIA_ROOT "${SBM_TORCH_ROOT}/../nvidia")
set(runtime_libraries "${SBM_NVIDIA_ROOT}/cu13/lib/libcudart.so.13" "${SBM_NVIDIA_ROOT}/nccl/lib/libnccl.so.2")
set(torch_libraries "${SBM_TORCH_ROOT}/lib/libtorch_cuda.so" "${SBM_TORCH_ROOT}/lib/libc10_cuda.so")
foreach(file ${runtime_libraries} ${torch_libraries} "${SBM_NVIDIA_ROOT}/cu13/include/cuda_runtime_api.h"
        "${SBM_NVIDIA_ROOT}/cu13/include/cublas_v2.h" "${SBM_NVIDIA_ROOT}/nccl/include/nccl.h")
  if(NOT EXISTS "${file}")
    message(FATAL_ERROR "SBM_WITH_CUDA: expected ${file}. Run launch/setup.sh --cuda.")
  endif()
endforeach()
# After LibTorch's, for the sources that sbm_choose_by_device() finds.
set(SBM_CUDA_HEADERS "-idirafter${SBM_NVIDIA_ROOT}/cu13/include"
                     "-idirafter${SBM_NVIDIA_ROOT}/nccl/include")

# CUDA's runtime and NCCL, for a floor without LibTorch.
add_library(sbm_cuda_runtime INTERFACE)
add_library(sbm::cuda_runtime ALIAS sbm_cuda_runtime)
target_link_libraries(sbm_cuda_runtime INTERFACE ${runtime_libraries})
target_link_options(sbm_cuda_runtime INTERFACE
                    "LINKER:-rpath,${SBM_NVIDIA_ROOT}/cu13/lib:${SBM_NVIDIA_ROOT}/nccl/lib")

add_library(sbm_torch_cuda INTERFACE)
add_library(sbm::torch_cuda ALIAS sbm_torch_cuda)
target_link_libraries(sbm_torch_cuda INTERFACE sbm::torch sbm::cuda_runtime ${torch_libraries})
# LibTorch has a CUDA part when that library has been loaded, also where no symbol of it is used.
target_link_options(
  sbm_torch_cuda INTERFACE "LINKER:--no-as-needed"
  "LINKER:-rpath-link,${SBM_NVIDIA_ROOT}/nccl/lib:${SBM_NVIDIA_ROOT}/cudnn/lib:${SBM_NVIDIA_ROOT}/nvshmem/lib:${SBM_NVIDIA_ROOT}/cusparselt/lib")
