#pragma once

#include <cstdint>
#include <functional>

namespace sbm::kernels {

/// Runs independent pieces of a kernel. Kernels own no threads: the caller hands in its pool
/// (LibTorch's in training), so one process never has two. Results never depend on which.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Calls body(i) once for each i in [0, count), in any order and on any thread; returns when all
  /// calls have returned. `body` does not throw.
  virtual void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) = 0;
  /// How many threads may run at once; at least 1.
  [[nodiscard]] virtual int concurrency() const = 0;
};

/// Runs everything on the calling thread.
class SerialExecutor final : public Executor {
 public:
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) override {
    for (std::int64_t i = 0; i < count; ++i) body(i);
  }
  [[nodiscard]] int concurrency() const override { return 1; }
};

}  // namespace sbm::kernels
