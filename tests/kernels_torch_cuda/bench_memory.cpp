#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <cstddef>

#include "cuda_host/device_buffer.h"

// Every tensor of this process lies in a device buffer of the bench, whose kernels may touch
// nothing else, between guard pages.
namespace sbm::kernels::torch {
namespace {

class BenchAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* const memory = cuda_host::allocate(bytes, "tensor");
    return {memory, memory, &cuda_host::release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &cuda_host::release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

const bool kInstalled = [] {
  static BenchAllocator allocator;
  c10::SetCPUAllocator(&allocator, 200);
  return true;
}();

}  // namespace
}  // namespace sbm::kernels::torch
