#include <cuda_runtime_api.h>

#include <filesystem>
#include <string>

#include "base/error.h"
#include "distributed/error_check_cuda.h"

namespace sbm::distributed {

void check_cuda(cudaError_t code, std::string_view call, std::source_location where) {
  if (code == cudaSuccess) return;
  throw CommunicationError(std::string(call) + " failed: " + cudaGetErrorString(code) + " (" +
                           std::filesystem::path(where.file_name()).filename().string() + ":" +
                           std::to_string(where.line()) + ")");
}

}  // namespace sbm::distributed
