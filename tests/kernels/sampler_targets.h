#pragma once

#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "hwy/targets.h"
#include "kernels/executor.h"

// Ways to run the CPU kernels that must not change a bit: instruction sets and threads.
namespace sbm::kernels::testing {

/// Every instruction set that this machine has and Highway can generate, the widest first.
inline std::vector<std::int64_t> supported_targets() {
  hwy::SetSupportedTargetsForTest(0);
  std::vector<std::int64_t> targets;
#if HWY_ARCH_X86
  for (const std::int64_t target : {HWY_AVX3_DL, HWY_AVX3, HWY_AVX2, HWY_SSE4, HWY_SSSE3}) {
    if ((hwy::SupportedTargets() & target) != 0) targets.push_back(target);
  }
  targets.push_back(HWY_SCALAR);
#else
  targets = hwy::SupportedAndGeneratedTargets();
#endif
  return targets;
}

/// Makes the CPU kernels use exactly this instruction set while it lives.
class ForcedTarget {
 public:
  explicit ForcedTarget(std::int64_t target) { hwy::SetSupportedTargetsForTest(target); }
  ~ForcedTarget() { hwy::SetSupportedTargetsForTest(0); }
  ForcedTarget(const ForcedTarget&) = delete;
  ForcedTarget& operator=(const ForcedTarget&) = delete;
};

/// Two threads, one of them backwards, that claim to be `concurrency`.
class TwoThreads final : public Executor {
 public:
  explicit TwoThreads(int concurrency) : concurrency_(concurrency) {}
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) override {
    std::thread odd([&] {
      for (std::int64_t i = count - 1; i >= 0; --i) {
        if (i % 2 != 0) body(i);
      }
    });
    for (std::int64_t i = 0; i < count; i += 2) body(i);
    odd.join();
  }
  [[nodiscard]] int concurrency() const override { return concurrency_; }

 private:
  int concurrency_;
};

}  // namespace sbm::kernels::testing
