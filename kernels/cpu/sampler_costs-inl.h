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

FormCosts CostsOfForms(std::int64_t clusters) {
  const auto k = static_cast<float>(clusters);
  FormCosts costs;
  costs.every_cell = 0.6F + 0.033F * k;
  costs.coarse = kHasCoarseForm ? 0.8F + 0.016F * k : std::numeric_limits<float>::infinity();
  costs.screened = 0.5F;
  costs.candidate = 7.0F + 0.02F * k;
  return costs;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
