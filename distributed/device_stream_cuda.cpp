#include "distributed/device_stream_cuda.h"

#include <cuda_runtime_api.h>

#include <array>
#include <string>
#include <utility>

#include "base/error.h"
#include "distributed/error_check_cuda.h"

namespace sbm::distributed {
namespace {

cudaStream_t stream_of(StreamHandle stream) { return static_cast<cudaStream_t>(stream); }
cudaEvent_t event_of(EventHandle event) { return static_cast<cudaEvent_t>(event); }

class CudaStreams final : public DeviceStreams {
 public:
  CudaStreams(int gpu, std::function<void*()> current_stream)
      : gpu_(gpu), current_stream_(std::move(current_stream)) {}

  StreamHandle current() override { return current_stream_(); }

  StreamHandle create_stream() override {
    int lowest = 0;
    int highest = 0;
    check_cuda(cudaDeviceGetStreamPriorityRange(&lowest, &highest),
               "cudaDeviceGetStreamPriorityRange");
    cudaStream_t stream = nullptr;
    // Before the kernels of the backward that wait beside it: peers wait for this rank's part.
    check_cuda(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, highest),
               "cudaStreamCreateWithPriority");
    return stream;
  }
  void destroy_stream(StreamHandle stream) noexcept override {
    cudaStreamDestroy(stream_of(stream));
  }

  EventHandle create_event() override {
    cudaEvent_t event = nullptr;
    check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming),
               "cudaEventCreateWithFlags");
    return event;
  }
  void destroy_event(EventHandle event) noexcept override { cudaEventDestroy(event_of(event)); }
  void record(EventHandle event, StreamHandle stream) override {
    check_cuda(cudaEventRecord(event_of(event), stream_of(stream)), "cudaEventRecord");
  }
  void wait(StreamHandle stream, EventHandle event) override {
    check_cuda(cudaStreamWaitEvent(stream_of(stream), event_of(event), 0), "cudaStreamWaitEvent");
  }
  bool done(EventHandle event) override {
    const cudaError_t state = cudaEventQuery(event_of(event));
    if (state == cudaErrorNotReady) return false;
    check_cuda(state, "cudaEventQuery");
    return true;
  }

  std::byte* allocate(std::size_t bytes) override {
    void* memory = nullptr;
    check_cuda(cudaMalloc(&memory, bytes), "cudaMalloc");
    return static_cast<std::byte*>(memory);
  }
  void release(std::byte* memory) noexcept override { cudaFree(memory); }

  void copy(std::span<const std::byte> from, std::byte* to, StreamHandle stream) override {
    check_cuda(cudaMemcpyAsync(to, from.data(), from.size(), cudaMemcpyDefault, stream_of(stream)),
               "cudaMemcpyAsync");
  }

  bool capturing() override {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check_cuda(cudaStreamIsCapturing(stream_of(current()), &status), "cudaStreamIsCapturing");
    return status != cudaStreamCaptureStatusNone;
  }

  std::string device_name() override {
    std::array<char, 32> bus{};
    check_cuda(cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), gpu_),
               "cudaDeviceGetPCIBusId");
    return bus.data();
  }

 private:
  int gpu_;
  std::function<void*()> current_stream_;
};

}  // namespace

std::unique_ptr<DeviceStreams> make_cuda_streams(int gpu, std::function<void*()> current_stream) {
  if (!current_stream) throw InternalError("no current stream for the collectives");
  check_cuda(cudaSetDevice(gpu), "cudaSetDevice");
  return std::make_unique<CudaStreams>(gpu, std::move(current_stream));
}

}  // namespace sbm::distributed
