#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "distributed/nccl_library.h"

// The functions of CUDA by which collectives take their place among the caller's work, as a table:
// the real one stands in device_stream_cuda.cpp; a stand-in of the tests runs its streams late and
// in orders of its own.
namespace sbm::distributed {

/// cudaEvent_t.
using EventHandle = void*;

/// Each function throws CommunicationError when CUDA reports an error.
class DeviceStreams {
 public:
  virtual ~DeviceStreams() = default;

  /// The stream that the caller's work goes to now.
  virtual StreamHandle current() = 0;
  virtual StreamHandle create_stream() = 0;
  virtual void destroy_stream(StreamHandle stream) noexcept = 0;
  /// Without timing.
  virtual EventHandle create_event() = 0;
  virtual void destroy_event(EventHandle event) noexcept = 0;
  virtual void record(EventHandle event, StreamHandle stream) = 0;
  /// What comes into `stream` from now on runs after what `event` was last recorded behind.
  virtual void wait(StreamHandle stream, EventHandle event) = 0;
  /// Whether the work that `event` was last recorded behind is done.
  virtual bool done(EventHandle event) = 0;
  /// Memory of the device, 256-byte aligned.
  virtual std::byte* allocate(std::size_t bytes) = 0;
  virtual void release(std::byte* memory) noexcept = 0;
  virtual void copy(std::span<const std::byte> from, std::byte* to, StreamHandle stream) = 0;
  /// Whether the current stream's work is being captured into a graph: nothing runs then, and
  /// events may not be asked.
  virtual bool capturing() = 0;
  /// The rank's GPU in words that tell it from every other of its host (the PCI bus id).
  virtual std::string device_name() = 0;
};

}  // namespace sbm::distributed
