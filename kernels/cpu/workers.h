#pragma once

#include <atomic>
#include <cstdint>
#include <new>
#include <string>

#include "kernels/cpu/scratch.h"
#include "kernels/executor.h"
#include "kernels/status.h"

namespace sbm::kernels::cpu {

/// Runs pieces of a call with a T of their own, and remembers when memory ran out.
template <typename T>
class Workers {
 public:
  explicit Workers(Executor& executor) : executor_(executor) {}

  /// work(scratch, i) once for each i in [0, count). May be called from within itself.
  template <typename Work>
  void for_each(std::int64_t count, const Work& work) {
    executor_.parallel_for(count, [&](std::int64_t i) { with_scratch(work, i); });
  }

  /// work(scratch, i) here and now.
  template <typename Work>
  void with_scratch(const Work& work, std::int64_t i) {
    try {
      const auto scratch = pool_.lend();
      work(*scratch, i);
    } catch (const std::bad_alloc&) {
      out_of_memory_ = true;
    }
  }

  [[nodiscard]] Status status(const char* function) const {
    if (!out_of_memory_) return {};
    return Status::invalid(std::string(function) + ": out of memory for its workspace");
  }

 private:
  Executor& executor_;
  ScratchPool<T> pool_;
  std::atomic<bool> out_of_memory_ = false;
};

}  // namespace sbm::kernels::cpu
