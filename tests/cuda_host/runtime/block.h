#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include "cuda_host/runtime/launch.h"
#include "cuda_host/runtime/schedule.h"
#include "cuda_host/runtime/thread.h"

namespace sbm::cuda_host {

/// What the threads of a grid run.
struct GridRun {
  dim3 grid;
  dim3 block;
  std::size_t dynamic_shared_bytes = 0;
  const void* kernel = nullptr;
  KernelCall call;
};

/// Gets the arguments of the lanes in `mask`, by lane, and leaves the results in them.
using Combine = void (*)(void* const* arguments, unsigned mask);
/// Gets the arguments of all threads of the block.
using CombineBlock = void (*)(void* const* arguments, std::size_t threads);

/// Runs one block at a time, each CUDA thread a fiber.
class Block {
 public:
  /// The block that runs on this CPU thread.
  static Block& current();
  /// The CUDA thread that is running, or nullptr outside kernels.
  static Thread* running();
  /// The same where the code that runs is the kernel's, nullptr within the bench's own.
  static Thread* checked();

  /// Runs all threads of block `index` to their end. Throws KernelDefect.
  void run(const GridRun& grid, uint3 index, std::uint64_t seed);

  // From here on: called by CUDA threads.

  /// All lanes of `mask` meet here; the last one combines. Returns after that.
  void meet_warp(const char* operation, unsigned mask, const std::source_location& where,
                 void* argument, Combine combine);
  /// All threads of the block meet here.
  void meet_block(const char* operation, const std::source_location& where, void* argument,
                  CombineBlock combine);
  /// Lets others run first now and then, in random orders.
  void maybe_yield();
  /// Ends the block: launch() throws KernelDefect with this message and the thread's place.
  [[noreturn]] void fail(const std::string& message);
  /// As fail(), but only as soon as the thread waits or ends: for hooks that must return.
  void fail_later(const std::string& message);

  [[nodiscard]] const GridRun& grid() const { return *grid_; }
  [[nodiscard]] uint3 index() const { return index_; }
  [[nodiscard]] std::size_t thread_count() const { return count_; }
  [[nodiscard]] Thread& thread(std::size_t number) { return *threads_[number]; }

 private:
  struct Meeting {
    unsigned mask = 0;
    unsigned arrived = 0;
    const char* operation = nullptr;
    std::source_location where;
  };

  static void run_thread();
  void prepare(const GridRun& grid, uint3 index);
  void end_thread();
  void wait(State state);
  void resume(Thread& thread);
  /// Opens the block barrier where all threads stand at it; says what is wrong where they do not.
  void release_barrier();
  void check_mask(const char* operation, unsigned mask, const std::source_location& where);
  void lane_ended(const Thread& thread);
  [[nodiscard]] std::string waiting_places() const;
  [[nodiscard]] std::string place() const;

  const GridRun* grid_ = nullptr;
  uint3 index_{};
  std::size_t count_ = 0;
  std::vector<std::unique_ptr<Thread>> threads_;  // kept from block to block
  std::vector<std::vector<Meeting>> meetings_;    // by warp
  Schedule schedule_;
  CombineBlock combine_block_ = nullptr;
  std::optional<std::string> defect_;
};

/// While it lives, what runs is the bench, not the kernel: nothing is checked. Every function that
/// kernels call begins with one, because the linker may give the bench an instrumented copy of what
/// both use, such as std::string.
class Outside {
 public:
  Outside();
  ~Outside();
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;

 private:
  bool before_;
};

/// "file.cuh:12".
std::string text(const std::source_location& where);

}  // namespace sbm::cuda_host
