#include "kernels/cpu/target.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "hwy/targets.h"

namespace sbm::kernels::cpu {
namespace {

struct [[maybe_unused]] Target {
  std::string_view name;
  std::int64_t widest;
};

#if HWY_ARCH_X86
constexpr Target kTargets[] = {
    {"baseline", HWY_SCALAR}, {"sse4", HWY_SSE4}, {"avx2", HWY_AVX2}, {"avx512", HWY_AVX3_DL}};
#endif

void disable_wider_targets() {
  // Read once, before any thread of ours could change the environment.
  const char* wanted = std::getenv("SBM_CPU_TARGET");  // NOLINT(concurrency-mt-unsafe)
  if (wanted == nullptr) return;
#if HWY_ARCH_X86
  // In Highway's masks a wider instruction set has a lower bit.
  for (const Target& target : kTargets) {
    if (target.name == wanted) hwy::DisableTargets(target.widest - 1);
  }
#endif
}

}  // namespace

void apply_target_override() {
  [[maybe_unused]] static const bool applied = [] {
    disable_wider_targets();
    return true;
  }();
}

std::vector<std::string> target_names() {
  std::vector<std::string> names;
#if HWY_ARCH_X86
  for (const Target& target : kTargets) names.emplace_back(target.name);
#endif
  return names;
}

bool has_bf16_products() {
#if HWY_ARCH_X86
  static const bool has = __builtin_cpu_supports("avx512bf16") != 0;
  return has;
#else
  return false;
#endif
}

const char* target_name() {
  apply_target_override();
  const std::int64_t targets = hwy::SupportedTargets();
  // Asking makes Highway choose the widest one, whatever is disabled.
  hwy::GetChosenTarget().Update(targets);
  return hwy::TargetName(targets & -targets);  // the lowest bit is the widest instruction set
}

}  // namespace sbm::kernels::cpu
