#pragma once

#include <functional>
#include <memory>

#include "distributed/device_stream.h"

namespace sbm::distributed {

/// CUDA's streams and events on device `gpu`, which is the current one whenever these are called.
/// `current_stream` gives the cudaStream_t that the caller's work goes to.
std::unique_ptr<DeviceStreams> make_cuda_streams(int gpu, std::function<void*()> current_stream);

}  // namespace sbm::distributed
