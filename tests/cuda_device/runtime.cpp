// What the tests of the proof bench need of a device, for a real one: its memory, a stream, and
// runs in place of orders, which nobody chooses there.

#include <cuda_runtime.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda_host/device_buffer.h"
#include "cuda_host/order.h"
#include "cuda_host/stream.h"

namespace sbm::cuda_host {
namespace {

Order order_now;

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(error));
}

}  // namespace

cudaStream_t test_stream() {
  static const cudaStream_t stream = [] {
    cudaStream_t created = nullptr;
    check(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    return created;
  }();
  return stream;
}

void* allocate(std::size_t bytes, const std::string& /*name*/) {
  // Empty buffers have an address too.
  const std::size_t wanted = std::max<std::size_t>(bytes, 1);
  void* memory = nullptr;
  check(cudaMalloc(&memory, wanted), "cudaMalloc");
  check(cudaMemsetAsync(memory, 0xFF, wanted, test_stream()), "cudaMemsetAsync");
  return memory;
}

// Waits for the device, so a kernel that still reads the buffer has ended.
void release(void* memory) noexcept { static_cast<void>(cudaFree(memory)); }

void copy_to_device(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, test_stream()), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(test_stream()), "cudaStreamSynchronize");
}

void copy_from_device(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, test_stream()), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(test_stream()), "a kernel before this copy");
}

std::string Order::name() const { return "run " + std::to_string(seed); }

/// Equal bits from run to run is what is left of equal bits in every order.
const std::vector<Order>& orders() {
  static const std::vector<Order> all = {
      {Order::Kind::kRandom, 1}, {Order::Kind::kRandom, 2}, {Order::Kind::kRandom, 3}};
  return all;
}

void set_order(const Order& order) { order_now = order; }
const Order& current_order() { return order_now; }

}  // namespace sbm::cuda_host
