#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "cuda_host/runtime/memory.h"

namespace sbm::cuda_host {

/// Shared memory that a block may have on the devices this project is built for (sm_90: 227 KiB;
/// sm_80: 163 KiB is its planner's business).
inline constexpr std::size_t kSharedLimit = std::size_t{227} * 1024;

/// The shared memory of the running block: arrays filled with 0xFF (NaN in every float format),
/// each between red zones at least as long as itself.
class SharedMemory {
 public:
  static SharedMemory& current();

  /// A block begins: forgets all arrays, has one dynamic array of so many bytes.
  void begin_block(std::size_t dynamic_bytes);
  /// Says near which array a red zone was written; empty when none was.
  [[nodiscard]] std::string damage() const;

  /// The static array that the declaration `key` stands for; the first thread that comes by makes
  /// it.
  void* array(const void* key, const char* name, std::size_t bytes);
  void* dynamic();
  [[nodiscard]] std::size_t dynamic_bytes() const { return dynamic_bytes_; }

  [[nodiscard]] bool holds(const void* address) const;
  /// The array that holds the address, or nullptr.
  Region* find(const void* address);
  /// The array with the address in itself or in the zone behind it, or nullptr.
  Region* nearest(const void* address);

  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

 private:
  struct Array {
    const void* key = nullptr;
    Region region;
  };

  SharedMemory();
  char* add(const void* key, const std::string& name, std::size_t bytes);

  char* arena_ = nullptr;
  std::size_t used_ = 0;  // bytes of the arena handed out, zones included
  std::size_t array_bytes_ = 0;
  std::size_t dynamic_bytes_ = 0;
  std::vector<std::unique_ptr<Array>> arrays_;  // ascending addresses
};

}  // namespace sbm::cuda_host
