#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cuda_host/runtime/shadow.h"

namespace sbm::cuda_host {

/// A range that kernels may touch: a device buffer or a shared array.
struct Region {
  const char* begin = nullptr;
  const char* end = nullptr;
  std::string name;
  bool shared = false;
  Shadow shadow;  // what the race detector knows of its bytes; empty in the other builds

  [[nodiscard]] bool holds(const void* address, std::size_t bytes) const {
    const auto* first = static_cast<const char*>(address);
    return first >= begin && first <= end && bytes <= static_cast<std::size_t>(end - first);
  }
};

/// Makes [begin, begin + bytes) known under `name`. Not from kernels.
void register_global(const void* begin, std::size_t bytes, const std::string& name);
void unregister_global(const void* begin);
/// The device buffer that holds the address, or nullptr.
Region* find_global(const void* address);

/// Throws KernelDefect when a kernel has written beside a device buffer.
void check_buffers();

/// "byte 40 of buffer 'columns' (64 bytes)", or how far it lies from the nearest known range.
std::string describe_address(const void* address);

}  // namespace sbm::cuda_host
