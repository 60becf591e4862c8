#pragma once

#include <driver_types.h>

#include <source_location>
#include <string_view>

namespace sbm::distributed {

/// The one place of this floor where CUDA's return codes become errors: throws CommunicationError
/// with CUDA's text, the call, file and line unless `code` is cudaSuccess.
void check_cuda(cudaError_t code, std::string_view call,
                std::source_location where = std::source_location::current());

}  // namespace sbm::distributed
