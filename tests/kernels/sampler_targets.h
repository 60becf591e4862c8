#pragma once

#include <cstdint>
#include <vector>

#include "hwy/targets.h"

// The instruction sets that the CPU kernels can be made to run on.
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

}  // namespace sbm::kernels::testing
