#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "distributed/communicator.h"

namespace sbm::distributed {

/// What moves the tensors of a group whose ranks compute on GPUs: NCCL, started by `control`
/// (MpiCommunicator or SingleProcess), which goes on to carry everything in host memory. `gpu` is
/// the CUDA device of this rank and the current one; `current_stream` gives the cudaStream_t that
/// the caller's work goes to. The result's memory() is kDevice; its operations run on a stream of
/// their own, ordered by events with the current one at the time of the call. Collective; `control`
/// outlives the result. Not for ranks on the CPU: there `control` moves the tensors itself.
///
/// Throws ConfigError in a program without CUDA, and on every rank when two of them share a GPU;
/// CommunicationError when NCCL does not start within `timeout`, or when its library is older than
/// the headers, or another than a peer's.
std::unique_ptr<Communicator> make_device_communicator(Communicator& control, int gpu,
                                                       std::function<void*()> current_stream,
                                                       std::chrono::seconds timeout);

/// "NCCL 2.28.9 (built with the headers of 2.28.9)", or nothing in a program without CUDA.
std::optional<std::string> device_communicator_version();

}  // namespace sbm::distributed
