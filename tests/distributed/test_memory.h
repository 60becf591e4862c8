#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "distributed/lasting_memory.h"

// The suites of communicators run on every kind of memory: they fill and read their buffers here.
namespace sbm::distributed {

/// Where the buffers of a communicator under test lie. Reads and writes take their place in the
/// current stream, where there is one, and are done when they return.
class TestMemory {
 public:
  virtual ~TestMemory() = default;
  virtual std::shared_ptr<std::byte> allocate(std::size_t bytes) = 0;
  virtual void write(std::byte* to, std::span<const std::byte> from) = 0;
  virtual void read(std::span<std::byte> to, const std::byte* from) = 0;
};

/// For communicators of host memory.
class HostTestMemory final : public TestMemory {
 public:
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override {
    auto buffer = std::make_shared<LastingVector<std::byte>>(bytes);
    return {buffer, buffer->data()};
  }
  void write(std::byte* to, std::span<const std::byte> from) override {
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
  }
  void read(std::span<std::byte> to, const std::byte* from) override {
    if (!to.empty()) std::memcpy(to.data(), from, to.size());
  }
};

/// A buffer in `memory`, with the values of a vector.
template <typename T>
class TestBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  TestBuffer(TestMemory& memory, const std::vector<T>& values)
      : memory_(memory), size_(values.size()), data_(memory.allocate(size_ * sizeof(T))) {
    put(values);
  }
  TestBuffer(TestMemory& memory, std::size_t size) : TestBuffer(memory, std::vector<T>(size)) {}

  [[nodiscard]] std::span<T> span() const { return {reinterpret_cast<T*>(data_.get()), size_}; }
  void put(const std::vector<T>& values) {
    memory_.write(data_.get(), std::as_bytes(std::span(values)));
  }
  [[nodiscard]] std::vector<T> get() const {
    std::vector<T> values(size_);
    memory_.read(std::as_writable_bytes(std::span(values)), data_.get());
    return values;
  }

 private:
  TestMemory& memory_;
  std::size_t size_;
  std::shared_ptr<std::byte> data_;
};

}  // namespace sbm::distributed
