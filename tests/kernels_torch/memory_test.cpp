#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/peak_memory.h"
#include "tests/bench/random_attention.h"

namespace sbm::kernels::torch {
namespace {

// Resident memory tells nothing under AddressSanitizer, which keeps freed blocks.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// One forward and backward at 4,096 tokens and about 2 % density: its peak beyond the inputs stays
// below half of a single float for each cell of one head (64 MiB), so no such tensor was made.
TEST(AttentionMemory, FollowsTheEdges) {
  if (kSanitized) GTEST_SKIP() << "resident memory is not the program's own under a sanitizer";
  constexpr std::int64_t kTokens = 4096;
  bench::RandomAttention(1, 1, 64, 32, 32, 0.02).forward().output.sum().backward();
  const bench::RandomAttention attention(1, 1, kTokens, 32, 32, 0.02);
  if (!reset_peak()) GTEST_SKIP() << "/proc/self/clear_refs cannot be written here";
  const auto before = status_bytes("VmRSS");
  attention.forward().output.sum().backward();
  const auto peak = status_bytes("VmHWM");
  if (!before || !peak) GTEST_SKIP() << "/proc/self/status does not tell VmRSS and VmHWM";
  EXPECT_LT(*peak - *before, kTokens * kTokens * 4 / 2);

  // The measure itself: such a tensor would have been seen.
  ASSERT_TRUE(reset_peak());
  const auto base = status_bytes("VmRSS");
  at::zeros({kTokens, kTokens}).add_(1.0F);
  EXPECT_GT(*status_bytes("VmHWM") - *base, kTokens * kTokens * 4 / 2);
}

}  // namespace
}  // namespace sbm::kernels::torch
