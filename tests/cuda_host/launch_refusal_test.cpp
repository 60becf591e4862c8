// Whatever launch a device refuses, the call says so and launches nothing after it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "cuda_host/attention_whole_case.h"
#include "cuda_host/order.h"
#include "cuda_host/runtime/refusal.h"
#include "kernels/cuda/sampling_lists.cuh"

namespace sbm::cuda_host {
namespace {

/// Refuses the first launch of `call`, then the second, and so on; returns how many there are.
int expect_all_refusals(const std::function<kernels::Status()>& call) {
  for (int launches = 0;; ++launches) {
    refuse_after(launches);
    const kernels::Status status = call();
    refuse_after(-1);
    if (status.ok()) return launches;
    EXPECT_THAT(status.message(), testing::HasSubstr("refused")) << "after " << launches;
    if (launches > 100) return launches;
  }
}

WholeSpec spec_of(Estimator estimator, Precision precision) {
  WholeSpec spec;
  spec.queries = 20;
  spec.keys = 24;
  spec.clusters = 40;
  spec.estimator = estimator;
  spec.precision = precision;
  spec.probe_rate = estimator == Estimator::kTrapezoid ? 0.3 : 0.0;
  return spec;
}

TEST(LaunchRefusal, OfSampling) {
  if (orders().size() == 2) GTEST_SKIP() << "no kernel is in question, and each access is checked";
  const WholeCase whole(spec_of(Estimator::kTrapezoid, Precision::kFloat32));
  const GraphBuffers drawn(whole.sampling(), whole.choice());
  const DeviceBuffer<std::uint8_t> workspace(
      kernels::cuda::sampling_workspace_bytes(whole.sampling()), "workspace");
  const int launches = expect_all_refusals([&] {
    return kernels::cuda::sample_graphs(whole.sampling(), whole.choice().plan, drawn.graphs(),
                                        workspace.data(), workspace.size(), test_stream());
  });
  EXPECT_GT(launches, 20);
}

TEST(LaunchRefusal, OfAttention) {
  for (const Estimator estimator :
       {Estimator::kPaper, Estimator::kReference, Estimator::kTrapezoid}) {
    for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
      const WholeCase whole(spec_of(estimator, precision));
      const GraphBuffers drawn(whole.sampling(), whole.choice());
      drawn.draw(whole.sampling());
      const WholeCase::Outputs outputs(whole);
      EXPECT_EQ(expect_all_refusals([&] {
                  return kernels::cuda::attention_forward(
                      whole.forward_params(drawn.graphs(), outputs), test_stream());
                }),
                2);
      auto params = whole.backward_params(drawn.graphs(), outputs);
      const DeviceBuffer<std::uint8_t> workspace(
          kernels::cuda::attention_dense_workspace_bytes(params.shape, precision), "workspace");
      params.dense_workspace = workspace.data();
      EXPECT_GE(expect_all_refusals(
                    [&] { return kernels::cuda::attention_backward(params, test_stream()); }),
                6);
    }
  }
}

// A set of n keys takes n / 8 bytes and a 32nd more for each of a warp's four groups.
TEST(SamplerCudaLaunch, WarpsOfABlockByTheirSharedMemory) {
  constexpr std::size_t kRunning = 32 * 8;  // the sums of 32 clusters
  const auto warps = [](std::int32_t keys) {
    return kernels::cuda::warps_for(kRunning +
                                    static_cast<std::size_t>(kernels::cuda::set_bytes(keys)));
  };
  EXPECT_EQ(warps(16384), 4);
  EXPECT_EQ(warps(32768), 2);
  EXPECT_EQ(warps(65536), 1);
}

}  // namespace
}  // namespace sbm::cuda_host
