#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "cuda_host/attention_whole_case.h"
#include "cuda_host/order.h"

// Sampling, routing, forward and backward in a row, both paths in one call, against the
// double-precision sampler and attention; and masks that are drawn again instead of stored.
namespace sbm::cuda_host {
namespace {

/// Builds that do run two orders, and slowly.
bool checks_every_access() { return orders().size() == 2; }

class AttentionWhole : public testing::TestWithParam<std::tuple<int, int, int>> {};

// Both precisions, each head_dim and estimator, every law, diagonal and number of clusters among
// them; each head_dim and precision has k = 256.
TEST_P(AttentionWhole, MatchesTheReference) {
  const auto [precision, head_dim, estimator] = GetParam();
  constexpr std::int64_t kClusters[] = {256, 33, 130};
  const int turn = head_dim / 32 + estimator;
  if (checks_every_access() && (turn + 2 * precision) % 3 != 0) {
    GTEST_SKIP() << "every third instance where each access is checked, which is slow";
  }
  WholeSpec spec;
  spec.batch = estimator == 0 ? 2 : 1;
  spec.head_dim = head_dim;
  spec.precision = static_cast<Precision>(precision);
  spec.estimator = static_cast<Estimator>(estimator);
  spec.clusters = kClusters[turn % 3];
  spec.law = static_cast<kernels::MaskLaw>((turn + precision) % 2);
  spec.self_loops = static_cast<kernels::SelfLoops>(turn % 3);
  spec.padded = (turn + precision) % 3 != 0;
  spec.dropout = turn % 2 == 0 ? 0.2 : 0.0;
  spec.probe_rate = spec.estimator != Estimator::kTrapezoid ? 0.0 : head_dim == 64 ? 1.0 : 0.3;
  spec.seed = static_cast<std::uint64_t>(100 * precision + head_dim + estimator);
  SCOPED_TRACE(spec.name());
  const WholeCase whole(spec);
  std::vector<std::uint8_t> first;
  const Order before = current_order();
  for (const Order& order : {Order{Order::Kind::kReverse, 0}, Order{Order::Kind::kRandom, 5}}) {
    set_order(order);
    const GraphBuffers drawn(whole.sampling(), whole.choice());
    drawn.draw(whole.sampling());
    const WholeCase::Outputs outputs(whole);
    whole.forward(drawn, outputs);
    whole.backward(drawn, outputs);
    if (first.empty()) {
      whole.expect_routed(drawn);
      whole.expect_near_reference(outputs);
      first = outputs.bytes();
    }
    EXPECT_TRUE(outputs.bytes() == first) << "other bits in order " << order.name();
  }
  set_order(before);
}

INSTANTIATE_TEST_SUITE_P(Instances, AttentionWhole,
                         testing::Combine(testing::Values(0, 1), testing::Values(32, 64, 128),
                                          testing::Values(0, 1, 2)));

WholeSpec trapezoid_spec() {
  WholeSpec spec;
  spec.batch = 2;
  spec.heads = 3;
  spec.queries = 40;
  spec.keys = 48;
  spec.precision = Precision::kBfloat16;
  spec.estimator = Estimator::kTrapezoid;
  spec.padded = true;
  spec.dropout = 0.1;
  spec.probe_rate = 0.3;
  return spec;
}

std::vector<std::uint8_t> stored_answer(const WholeCase& whole) {
  const GraphBuffers drawn(whole.sampling(), whole.choice());
  drawn.draw(whole.sampling());
  const WholeCase::Outputs outputs(whole);
  whole.forward(drawn, outputs);
  whole.backward(drawn, outputs);
  return outputs.bytes();
}

TEST(AttentionWholeMasks, RedrawnGiveTheBitsOfStoredOnes) {
  const WholeCase whole(trapezoid_spec());
  const WholeCase::Outputs outputs(whole);
  std::optional<GraphBuffers> drawn(std::in_place, whole.sampling(), whole.choice());
  drawn->draw(whole.sampling());
  whole.forward(*drawn, outputs);
  // Other memory, full of 0xFF, and another order of threads.
  drawn.emplace(whole.sampling(), whole.choice());
  const Order before = current_order();
  set_order({Order::Kind::kReverse, 0});
  drawn->draw(whole.sampling());
  whole.backward(*drawn, outputs);
  set_order(before);
  EXPECT_TRUE(outputs.bytes() == stored_answer(whole));
}

TEST(AttentionWholeMasks, SlicesGiveTheBitsOfTheWhole) {
  const WholeCase whole(trapezoid_spec());
  const std::vector<std::uint8_t> expected = stored_answer(whole);
  const kernels::SamplingParams& params = whole.sampling();
  const std::size_t graph_bytes = kernels::cuda::mask_bytes(params) / 6;
  // Graph by graph, two heads and the third, sample by sample, all at once.
  for (const auto& [graphs, count] : {std::pair{1U, 6U}, {2U, 4U}, {4U, 2U}, {6U, 1U}}) {
    if (checks_every_access() && graphs != 2) continue;
    const auto slices = kernels::cuda::slice_graphs(params, graphs * graph_bytes);
    ASSERT_EQ(slices.size(), count);
    const WholeCase::Outputs outputs(whole);
    for (const bool is_backward : {false, true}) {
      for (const kernels::cuda::GraphSlice& slice : slices) {
        const kernels::SamplingParams part = kernels::cuda::slice_of(params, slice);
        const GraphBuffers drawn(part, whole.choice());
        drawn.draw(part);
        if (!is_backward) {
          const auto forward =
              kernels::cuda::slice_of(whole.forward_params(drawn.graphs(), outputs), slice);
          EXPECT_EQ(kernels::cuda::attention_forward(forward, test_stream()).message(), "");
          continue;
        }
        auto backward =
            kernels::cuda::slice_of(whole.backward_params(drawn.graphs(), outputs), slice);
        const DeviceBuffer<std::uint8_t> workspace(
            kernels::cuda::attention_dense_workspace_bytes(backward.shape, backward.precision),
            "dense_workspace");
        backward.dense_workspace = workspace.data();
        EXPECT_EQ(kernels::cuda::attention_backward(backward, test_stream()).message(), "");
      }
    }
    EXPECT_TRUE(outputs.bytes() == expected) << graphs << " graphs a slice";
  }
}

TEST(GraphSlices, CoverEveryGraphOnceAndStartAligned) {
  for (const std::int64_t tokens : {63, 64, 66}) {
    for (const std::int64_t clusters : {1, 3, 4}) {
      for (const std::int64_t heads : {1, 3, 4, 8}) {
        for (const std::size_t most : {0U, 1U, 2U, 5U, 9U, 1000U}) {
          const kernels::SamplingParams params{
              .batch = 5, .heads = heads, .queries = tokens, .keys = 65, .clusters = clusters};
          const std::size_t graph_bytes =
              kernels::cuda::mask_bytes(params) / static_cast<std::size_t>(5 * heads);
          std::int64_t next = 0;
          for (const auto& slice : kernels::cuda::slice_graphs(params, most * graph_bytes)) {
            EXPECT_EQ(slice.first_sample * heads + slice.first_head, next);
            EXPECT_TRUE(slice.batch == 1 || slice.heads == heads);
            EXPECT_EQ(next * tokens * clusters % 4, 0);
            EXPECT_EQ(next * 65 * clusters % 4, 0);
            if (clusters == 4) {
              EXPECT_LE(slice.graphs(), static_cast<std::int64_t>(most == 0 ? 1 : most));
            }
            next += slice.graphs();
          }
          EXPECT_EQ(next, 5 * heads);
        }
      }
    }
  }
  EXPECT_TRUE(kernels::cuda::slice_graphs({.batch = 0, .heads = 3}, 1).empty());
  // Sizes without cells come in one piece.
  EXPECT_EQ(kernels::cuda::slice_graphs({.batch = 2, .heads = 3, .clusters = 4}, 6).size(), 1U);
}

}  // namespace
}  // namespace sbm::cuda_host
