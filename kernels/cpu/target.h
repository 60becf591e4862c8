#pragma once

#include <string>
#include <vector>

namespace sbm::kernels::cpu {

/// Honours SBM_CPU_TARGET (baseline, sse4, avx2 or avx512: the widest instruction set that the CPU
/// kernels may use), read once a process. An unset, unknown or unsupported name changes nothing:
/// masks never depend on it; sums of floats may in their last bits. Every entry point that
/// dispatches calls this first.
void apply_target_override();

/// The names that SBM_CPU_TARGET may have; none where there is but one instruction set.
std::vector<std::string> target_names();

/// Whether the processor multiplies pairs of bfloat16 numbers (AVX-512 BF16). Kernels use that with
/// the widest instruction set only.
bool has_bf16_products();

/// The instruction set that the kernels run on here, e.g. "AVX3", after the override.
const char* target_name();

}  // namespace sbm::kernels::cpu
