#pragma once

#include <cstdint>
#include <functional>

#include "kernels/executor.h"

namespace sbm::kernels::torch {

/// Runs kernels on LibTorch's own intra-op threads, so that a process has one pool. Pieces are
/// handed out one by one as threads get free: rows of a sampled graph differ much in their work.
/// What a piece calls of LibTorch or BLAS runs on the piece's own thread. Inside a parallel region
/// of LibTorch everything runs on the calling thread.
class IntraOpExecutor final : public Executor {
 public:
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) override;
  [[nodiscard]] int concurrency() const override;
};

}  // namespace sbm::kernels::torch
