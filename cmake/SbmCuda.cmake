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
