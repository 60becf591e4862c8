// What the forms of the first branch cost, once for each instruction set. Included by
// foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_COSTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_COSTS_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_COSTS_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_COSTS_INL_H_
#endif

#include <cstdint>
#include <limits>

#include "kernels/cpu/sampler_coarse-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

// In cycles, measured with sampler_bench on a Zen 4 (n = 2048; k = 32 and 128; densities 1, 10 and
// 25 %), what all forms share taken off. They decide speed, never a bit.
FormCosts CostsOfForms(std::int64_t clusters) {
  const auto k = static_cast<float>(clusters);
  constexpr float kNever = std::numeric_limits<float>::infinity();
#if HWY_TARGET == HWY_SCALAR
  return {8.0F + 0.48F * k, kNever, 7.0F, 41.0F + 0.27F * k};
#else
  if constexpr (kHasCoarseForm) {
    return {0.73F + 0.035F * k, 0.57F + 0.023F * k, 0.6F + 0.001F * k, 6.3F + 0.068F * k};
  } else if constexpr (kLanes == 16) {
    // Not measured: as above, with two instructions in place of each dot product.
    return {0.73F + 0.055F * k, kNever, 0.6F + 0.001F * k, 6.3F + 0.09F * k};
  } else if constexpr (kLanes == 8) {
    return {1.4F + 0.042F * k, kNever, 1.8F + 0.004F * k, 6.8F + 0.095F * k};
  } else {
    return {4.8F + 0.074F * k, kNever, 2.5F + 0.007F * k, 18.0F + 0.27F * k};
  }
#endif
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
