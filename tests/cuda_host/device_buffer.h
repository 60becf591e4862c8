#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda_host/stream.h"

namespace sbm::cuda_host {

/// Memory of the device, 256-byte aligned (16-byte aligned on the CPU, so that its end lies at a
/// guard page), exactly `bytes` long and filled with 0xFF.
void* allocate(std::size_t bytes, const std::string& name);
void release(void* memory) noexcept;
void copy_to_device(void* to, const void* from, std::size_t bytes);
void copy_from_device(void* to, const void* from, std::size_t bytes);

/// An array in device memory. Fresh ones are full of 0xFF, and reading them is an error in the race
/// build until something has been written there. `name` is what reports call it.
template <class Value>
class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<Value>);

 public:
  explicit DeviceBuffer(std::size_t count, const std::string& name = "unnamed")
      : count_(count), data_(static_cast<Value*>(allocate(count * sizeof(Value), name))) {}
  explicit DeviceBuffer(const std::vector<Value>& values, const std::string& name = "unnamed")
      : DeviceBuffer(values.size(), name) {
    upload(values);
  }
  ~DeviceBuffer() { release(data_); }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : count_(std::exchange(other.count_, 0)), data_(std::exchange(other.data_, nullptr)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(count_, other.count_);
    std::swap(data_, other.data_);
    return *this;
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  /// The address, for kernels; the host must not look there.
  [[nodiscard]] Value* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return count_; }

  /// Waits for the test's stream. At most size() values.
  void upload(const std::vector<Value>& values) {
    copy_to_device(data_, values.data(), std::min(values.size(), count_) * sizeof(Value));
  }
  /// Waits for the test's stream.
  [[nodiscard]] std::vector<Value> download() const {
    std::vector<Value> values(count_);
    copy_from_device(values.data(), data_, count_ * sizeof(Value));
    return values;
  }

 private:
  std::size_t count_ = 0;
  Value* data_ = nullptr;
};

}  // namespace sbm::cuda_host
