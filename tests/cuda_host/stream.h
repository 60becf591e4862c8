#pragma once

#include <cuda_runtime.h>

namespace sbm::cuda_host {

/// The stream that tests launch on.
cudaStream_t test_stream();

}  // namespace sbm::cuda_host
