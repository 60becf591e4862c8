#include "trainer/mask_control.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "kernels/reference/sampler.h"
#include "tests/trainer/model_fixture.h"
#include "trainer/encoder.h"
#include "trainer/mask_picture.h"

namespace sbm::trainer {
namespace {

using namespace testing_support;

struct Graphs {
  Memberships memberships;
  at::Tensor valid;  ///< float [batch, tokens]
};

/// Memberships of [3, 2] graphs over 20, 13 and 7 valid tokens of 20; `spread` of the logits.
Graphs random_graphs(double spread) {
  at::manual_seed(4);
  Graphs graphs;
  graphs.memberships.query = (spread * at::randn({3, 2, 20, 5}) - spread).sigmoid();
  graphs.memberships.key = (spread * at::randn({3, 2, 20, 5}) - spread).sigmoid();
  graphs.memberships.block = at::randn({2, 25}).softmax(-1).view({2, 5, 5});
  graphs.valid = at::arange(20).unsqueeze(0).lt(at::tensor({20, 13, 7}).unsqueeze(1));
  graphs.valid = graphs.valid.to(at::kFloat);
  return graphs;
}

at::Tensor probability(const Memberships& memberships) {
  return at::matmul(at::matmul(memberships.query, memberships.block),
                    memberships.key.transpose(-1, -2));
}

/// P without the cells of padding.
at::Tensor shown_probability(const Memberships& memberships, const at::Tensor& valid) {
  return probability(memberships) * valid.unsqueeze(1).unsqueeze(-1) *
         valid.unsqueeze(1).unsqueeze(1);
}

TEST(MaskControl, HasNames) {
  EXPECT_EQ(parse_mask_control("rank1"), MaskControl::kRank1);
  for (const std::string& name : mask_control_names()) {
    EXPECT_EQ(mask_control_name(parse_mask_control(name)), name);
  }
  EXPECT_THROW(static_cast<void>(parse_mask_control("ramdom")), ConfigError);
}

TEST(MaskControl, ExpectedDensityIsTheMeanOverValidCells) {
  const Graphs graphs = random_graphs(1.0);
  const at::Tensor lengths = graphs.valid.sum(1);
  const at::Tensor expected = shown_probability(graphs.memberships, graphs.valid).sum({2, 3}) /
                              (lengths * lengths).unsqueeze(1);
  EXPECT_LT(relative_difference(expected_density(graphs.memberships, graphs.valid), expected),
            1e-6);
}

TEST(MaskControl, RandomGivesEveryCellTheMean) {
  const Graphs graphs = random_graphs(1.0);
  const Memberships control =
      controlled_memberships(graphs.memberships, graphs.valid, MaskControl::kRandom);
  const at::Tensor expected = expected_density(graphs.memberships, graphs.valid);
  EXPECT_LT(
      relative_difference(probability(control), expected.view({3, 2, 1, 1}).expand({3, 2, 20, 20})),
      1e-6);
}

TEST(MaskControl, RankOneKeepsRowAndColumnSums) {
  const Graphs graphs = random_graphs(1.0);
  const at::Tensor learned = shown_probability(graphs.memberships, graphs.valid);
  const at::Tensor control = shown_probability(
      controlled_memberships(graphs.memberships, graphs.valid, MaskControl::kRank1), graphs.valid);
  ASSERT_LE(control.max().item<double>(), 1.0);
  EXPECT_LT(relative_difference(control.sum(3), learned.sum(3)), 1e-5);
  EXPECT_LT(relative_difference(control.sum(2), learned.sum(2)), 1e-5);
  EXPECT_GT(relative_difference(control, learned), 0.05) << "nothing was controlled";
}

TEST(MaskControl, RankOneReachesAboveOne) {
  // One hub: its row and column are full, all other cells are empty but for a little.
  Graphs graphs;
  graphs.memberships.query = at::full({1, 1, 10, 1}, 0.01);
  graphs.memberships.key = at::full({1, 1, 10, 1}, 0.01);
  graphs.memberships.query[0][0][3] = 1.0;
  graphs.memberships.key[0][0][3] = 1.0;
  graphs.memberships.query = at::cat({graphs.memberships.query, at::ones({1, 1, 10, 1})}, -1);
  graphs.memberships.key = at::cat({graphs.memberships.key, at::zeros({1, 1, 10, 1})}, -1);
  graphs.memberships.key[0][0][3][1] = 1.0;
  graphs.memberships.query[0][0][3][1] = 0.0;
  graphs.memberships.block = at::eye(2).unsqueeze(0);
  graphs.valid = at::ones({1, 10});
  const at::Tensor learned = probability(graphs.memberships);
  ASSERT_LE(learned.max().item<double>(), 1.02);
  const at::Tensor control =
      probability(controlled_memberships(graphs.memberships, graphs.valid, MaskControl::kRank1));
  const at::Tensor expected = learned.sum(3, true) * learned.sum(2, true) / learned.sum();
  EXPECT_LT(relative_difference(control, expected), 1e-5);
}

// The sampler sees the controls through 15 bits; the bound is the design's for P.
TEST(MaskControl, SurvivesTheQuantisationOfTheSampler) {
  const Graphs graphs = random_graphs(2.0);
  const at::Tensor bytes = graphs.valid.to(at::kByte).contiguous();
  const std::vector<PhiloxKey> keys(6, 1);
  for (const MaskControl control :
       {MaskControl::kRandom, MaskControl::kRank1, MaskControl::kFull}) {
    const Memberships memberships =
        controlled_memberships(graphs.memberships, graphs.valid, control);
    kernels::SamplingParams params;
    params.batch = 3;
    params.heads = 2;
    params.queries = params.keys = 20;
    params.clusters = 1;
    params.query_membership = memberships.query.const_data_ptr<float>();
    params.key_membership = memberships.key.const_data_ptr<float>();
    params.block_matrix = memberships.block.const_data_ptr<float>();
    params.query_valid = params.key_valid = bytes.const_data_ptr<std::uint8_t>();
    params.mask_keys = keys.data();
    const at::Tensor expected = shown_probability(memberships, graphs.valid);
    for (std::int64_t batch = 0; batch < 3; ++batch) {
      for (std::int64_t head = 0; head < 2; ++head) {
        const kernels::reference::SampledGraph graph(params, batch, head);
        for (std::int64_t row = 0; row < 20; ++row) {
          for (std::int64_t key = 0; key < 20; ++key) {
            if (!graph.is_valid(row, key)) continue;
            const double p = expected[batch][head][row][key].item<double>();
            ASSERT_NEAR(graph.quantized_probability(row, key), p, 1e-3 * p);
          }
        }
      }
    }
  }
}

TEST(MaskControl, DrawsTheExpectedNumberOfEdges) {
  const at::NoGradGuard no_gradients;
  Model model = small_model("attention { self_loops: NONE exploration: 0 }");
  model.set_layers(1);  // deeper layers see what the masks of the first let through
  ModelParameters parameters(model, class_shape(), 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const Samples samples(std::vector<std::int64_t>(60, 40), 11, 3);
  for (const MaskControl control :
       {MaskControl::kLearned, MaskControl::kRandom, MaskControl::kRank1}) {
    EncoderInput input = samples.input(0, 60, 40);
    input.mask = control;
    const EncoderOutput output = encoder.forward(input);
    const at::Tensor counts = output.edge_counts.to(at::kDouble);
    const at::Tensor cells = counts.select(-1, 2);
    const double expected = (output.expected_density.to(at::kDouble) * cells).sum().item<double>();
    // The variance of a sum of Bernoullis is at most that of equal ones; 5 sigma.
    const double mean = expected / cells.sum().item<double>();
    const double sigma = std::sqrt(expected * (1 - mean));
    EXPECT_NEAR(counts.select(-1, 0).sum().item<double>(), expected, 5 * sigma)
        << mask_control_name(control);
  }
}

TEST(MaskControl, FullHasEveryValidCellUnderBothLaws) {
  const at::NoGradGuard no_gradients;
  for (const char* extra : {"attention { law: BERNOULLI }", "attention { law: POISSON }"}) {
    const Model model = small_model(extra);
    const ModelParameters parameters(model, class_shape(), 1);
    const Encoder encoder(model, parameters);
    const Samples samples({30, 21}, 11, 3);
    EncoderInput input = samples.input(0, 2, 32);
    input.mask = MaskControl::kFull;
    const at::Tensor counts = encoder.forward(input).edge_counts;
    EXPECT_TRUE(at::equal(counts.select(-1, 0) + counts.select(-1, 1), counts.select(-1, 2)));
    for (const MaskPicture& picture : draw_mask_pictures(encoder, samples.input(0, 1, 30), 30)) {
      EXPECT_LT(std::count(picture.mask.begin(), picture.mask.end(), 1), 900);
    }
  }
}

TEST(MaskControl, DrawsIndependentlyOfTheLearntMask) {
  const at::NoGradGuard no_gradients;
  const Model model = small_model("attention { self_loops: NONE }");
  const ModelParameters parameters(model, class_shape(), 1);  // nearly constant P
  const Encoder encoder(model, parameters);
  const Samples samples({48}, 11, 3);
  EncoderInput input = samples.input(0, 1, 48);
  const std::vector<std::uint8_t> learned = draw_mask_pictures(encoder, input, 48)[0].mask;
  input.mask = MaskControl::kRandom;
  const std::vector<std::uint8_t> random = draw_mask_pictures(encoder, input, 48)[0].mask;
  double both = 0.0;
  for (std::size_t i = 0; i < learned.size(); ++i) both += learned[i] * random[i];
  // Both are drawn with about .26: independent cells share .0676 of 2,304 with sigma .0052.
  EXPECT_NEAR(both / 2304, 0.26 * 0.26, 5 * 0.0052 + 0.01);
}

}  // namespace
}  // namespace sbm::trainer
