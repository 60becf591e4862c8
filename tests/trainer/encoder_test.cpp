#include "trainer/encoder.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "tests/trainer/model_fixture.h"
#include "tests/trainer/reference_encoder.h"
#include "trainer/mask_picture.h"

namespace sbm::trainer {
namespace {

using namespace testing_support;

constexpr char kFull[] = "attention { type: FULL }";

/// Logits of the encoder and of the referee, sample by sample, under the very masks that were
/// drawn.
void expect_reference_logits(const Model& model, const ModelShape& shape) {
  const at::NoGradGuard no_gradients;
  ModelParameters parameters(model, shape, 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const Samples samples({1, 7, 23, 40}, shape.vocabulary, 3);
  const EncoderOutput output = encoder.forward(samples.input(0, 4, 48));
  for (std::size_t i = 0; i < samples.tokens.size(); ++i) {
    const auto length = static_cast<std::int64_t>(samples.tokens[i].size());
    const std::vector<MaskPicture> pictures =
        draw_mask_pictures(encoder, samples.input(i, i + 1, length), length);
    const Masks masks = pictures.empty() ? full_masks(model, length) : masks_of(model, pictures);
    const ReferenceOutput expected =
        reference_encoder(model, shape, copy_weights(parameters), samples.tokens[i], masks);
    at::Tensor logits = output.logits[static_cast<std::int64_t>(i)];
    if (shape.labels == data::LabelKind::kPerToken) logits = logits.narrow(0, 0, length);
    EXPECT_LT(relative_difference(logits.flatten().to(at::kDouble),
                                  at::tensor(expected.logits, at::kDouble)),
              1e-5)
        << "sample of " << length << " tokens";
    for (const MaskPicture& picture : pictures) {
      const auto layer = static_cast<std::size_t>(picture.layer);
      const auto head = static_cast<std::size_t>(picture.head);
      EXPECT_NEAR(output.expected_density[picture.layer][static_cast<std::int64_t>(i)][picture.head]
                      .item<double>(),
                  expected.density(layer, head), 1e-6);
      const std::vector<double>& cells = expected.probabilities[layer][head].values();
      for (std::size_t c = 0; c < cells.size(); ++c) {
        ASSERT_NEAR(picture.probability[c], cells[c], 1e-6);
      }
    }
  }
}

TEST(Encoder, GivesTheRefereesLogitsUnderTheSampledMasks) {
  expect_reference_logits(small_model(), class_shape());
  expect_reference_logits(small_model(), token_shape());
  expect_reference_logits(small_model("attention { law: POISSON self_loops: NONE }"),
                          class_shape());
  expect_reference_logits(small_model("attention { self_loops: REMOVE clusters: 1 }"),
                          class_shape());
  expect_reference_logits(small_model("learned_positions: false"), token_shape());
}

TEST(Encoder, GivesTheRefereesLogitsWithFullAttention) {
  expect_reference_logits(small_model(kFull), class_shape());
  expect_reference_logits(small_model(kFull), token_shape());
}

// The published code's mask = (id != 0): as if those tokens were marked as padding.
TEST(Encoder, TakesZerosForPaddingWhereItIsToldTo) {
  const at::NoGradGuard no_gradients;
  const Model odd = small_model("zero_is_padding: true");
  ModelParameters parameters(odd, class_shape(), 1);
  scatter(parameters, 2);
  const Samples samples({23, 40}, 11, 3);
  EncoderInput input = samples.input(0, 2, 48);
  input.tokens[0][0] = 0;
  input.tokens[0][7] = 0;
  input.tokens[1].fill_(0);  // an all black image
  const EncoderOutput found = Encoder(odd, parameters).forward(input);

  const Model plain = small_model();
  const at::Tensor seen_as_they_are = Encoder(plain, parameters).forward(input).logits;
  EncoderInput marked = input;
  marked.valid = input.valid.clone();
  marked.valid[0][0] = false;
  marked.valid[0][7] = false;
  marked.valid[1].fill_(false);
  marked.valid[1][0] = true;  // a sample keeps its first token
  const EncoderOutput expected = Encoder(plain, parameters).forward(marked);
  EXPECT_TRUE(at::equal(found.logits, expected.logits));
  EXPECT_TRUE(at::equal(found.edge_counts, expected.edge_counts));
  EXPECT_TRUE(at::equal(found.valid, marked.valid));
  EXPECT_FALSE(at::allclose(found.logits, seen_as_they_are));
}

// The published code's mean over its padded length. Without biases the head is homogeneous.
TEST(Encoder, PoolsOverAGivenLengthWhereItIsToldTo) {
  const at::NoGradGuard no_gradients;
  const Model plain = small_model();
  ModelParameters parameters(plain, class_shape(), 1);
  scatter(parameters, 2);
  for (const char* bias : {"head.hidden.bias", "head.output.bias"}) {
    at::Tensor weights = parameters.get(bias);
    weights.zero_();
  }
  const Samples samples({10, 40}, 11, 3);
  const EncoderInput input = samples.input(0, 2, 48);
  const at::Tensor means = Encoder(plain, parameters).forward(input).logits;
  const Model odd = small_model("pooled_length: 80");
  const at::Tensor found = Encoder(odd, parameters).forward(input).logits;
  EXPECT_LT(relative_difference(found[0], means[0] * (10.0 / 80.0)), 1e-5);
  EXPECT_LT(relative_difference(found[1], means[1] * (40.0 / 80.0)), 1e-5);
}

// Which feature is dropped is restated from kernels/cpu/dropout.h.
TEST(Encoder, DropsWhereAndAsTheContractSays) {
  const at::NoGradGuard no_gradients;
  const Model model = small_model("dropout: 0.25 attention { type: FULL }");
  ModelParameters parameters(model, class_shape(), 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const Samples samples({23}, 11, 3);
  EncoderInput input = samples.input(0, 1, 32);
  input.training = true;
  input.step = 8;
  const Dropout dropout = [&](Matrix& hidden, StreamId stream) {
    stream.step = 8;
    stream.sample = samples.ids[0];
    const PhiloxKey key = stream_key(input.seed, stream);
    for (std::int64_t token = 0; token < hidden.rows(); ++token) {
      for (std::int64_t feature = 0; feature < hidden.columns(); ++feature) {
        const PhiloxBlock block = philox4x32<7>(
            {static_cast<std::uint32_t>(token), static_cast<std::uint32_t>(feature / 8), 0, 0},
            key);
        const std::uint32_t half =
            block[static_cast<std::size_t>(feature / 2 % 4)] >> (feature % 2 * 16) & 0xFFFFU;
        hidden(token, feature) *= half < 0.25 * 65536 ? 0.0 : 1.0 / 0.75;
      }
    }
  };
  const ReferenceOutput expected =
      reference_encoder(model, class_shape(), copy_weights(parameters), samples.tokens[0],
                        full_masks(model, 23), dropout);
  EXPECT_LT(relative_difference(encoder.forward(input).logits[0].to(at::kDouble),
                                at::tensor(expected.logits, at::kDouble)),
            1e-5);
}

// Masks and dropout are equal to the bit; matrix products may round differently for another number
// of rows, hence 1e-5.
TEST(Encoder, GivesASampleTheSameLogitsWhateverItsNeighboursAndPadding) {
  for (const char* extra : {"dropout: 0.2 attention { dropout: 0.1 }", kFull}) {
    const at::NoGradGuard no_gradients;
    const Model model = small_model(extra);
    ModelParameters parameters(model, class_shape(), 1);
    scatter(parameters, 2);
    const Encoder encoder(model, parameters);
    const Samples samples({17, 30, 9}, 11, 3);
    EncoderInput all = samples.input(0, 3, 48);
    all.training = true;
    const EncoderOutput together = encoder.forward(all);
    for (std::size_t i = 0; i < 3; ++i) {
      EncoderInput one =
          samples.input(i, i + 1, static_cast<std::int64_t>(samples.tokens[i].size()));
      one.training = true;
      const EncoderOutput alone = encoder.forward(one);
      const auto row = static_cast<std::int64_t>(i);
      EXPECT_LT(relative_difference(together.logits[row], alone.logits[0]), 1e-5);
      EXPECT_TRUE(at::equal(together.edge_counts.select(1, row), alone.edge_counts.select(1, 0)));
      EXPECT_LT(relative_difference(together.expected_density.select(1, row),
                                    alone.expected_density.select(1, 0)),
                1e-5);
    }
  }
}

TEST(Encoder, RepeatsItselfBitForBit) {
  const Model model = small_model("dropout: 0.2");
  ModelParameters parameters(model, class_shape(), 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const Samples samples({17, 30, 9}, 11, 3);
  EncoderInput input = samples.input(0, 3, 32);
  input.training = true;
  std::vector<std::vector<float>> gradients;
  std::vector<at::Tensor> logits;
  for (int repeat = 0; repeat < 2; ++repeat) {
    gradients.emplace_back(parameters.weights().size(), 0.0F);
    parameters.bind_gradients(gradients.back());
    logits.push_back(encoder.forward(input).logits);
    logits.back().square().sum().backward();
  }
  EXPECT_TRUE(at::equal(logits[0], logits[1]));
  EXPECT_EQ(gradients[0], gradients[1]);
}

TEST(Encoder, DrawsAnewForEachStepDrawSampleAndSeed) {
  const at::NoGradGuard no_gradients;
  const Model model = small_model();
  const ModelParameters parameters(model, class_shape(), 1);
  const Encoder encoder(model, parameters);
  Samples samples({40}, 11, 3);
  const auto first_mask = [&](const EncoderInput& input) {
    return draw_mask_pictures(encoder, input, 40).front().mask;
  };
  const EncoderInput input = samples.input(0, 1, 40);
  const std::vector<std::uint8_t> mask = first_mask(input);
  EXPECT_EQ(first_mask(input), mask);
  EncoderInput other = input;
  other.step = 1;
  EXPECT_NE(first_mask(other), mask);
  other = input;
  other.draw = 1;
  EXPECT_NE(first_mask(other), mask);
  other = input;
  other.seed = 6;
  EXPECT_NE(first_mask(other), mask);
  samples.ids[0] += 1;
  EXPECT_NE(first_mask(input), mask);
}

// At the start every membership is near 1/2, so P is near 1/4 (reference: method.md, section 7).
TEST(Encoder, StartsAtAQuarterOfTheCells) {
  const at::NoGradGuard no_gradients;
  const Model model = parse_config("model { max_length: 64 }", "test").model();
  const ModelParameters parameters(model, {40, 10, data::LabelKind::kClass}, 1);
  const Encoder encoder(model, parameters);
  const Samples samples({64, 64, 64, 64, 64, 50}, 40, 3);
  const EncoderOutput output = encoder.forward(samples.input(0, 6, 64));
  EXPECT_NEAR(output.expected_density.mean().item<double>(), 0.25, 0.002);
  const at::Tensor counts = output.edge_counts.to(at::kDouble);
  for (std::int64_t sample = 0; sample < 6; ++sample) {
    const double length = sample < 5 ? 64 : 50;
    const at::Tensor of_sample = counts.select(1, sample);
    EXPECT_TRUE(of_sample.select(-1, 1).eq(length).all().item<bool>());
    EXPECT_TRUE(of_sample.select(-1, 2).eq(length * length).all().item<bool>());
  }
  // 90,000 cells off the diagonal with probability P + .01; 5 sigma: false alarm below 1e-6.
  const double cells = (counts.select(-1, 2) - counts.select(-1, 1)).sum().item<double>();
  const double drawn = counts.select(-1, 0).sum().item<double>();
  EXPECT_NEAR(drawn / cells, 0.26, 0.002 + 5 * std::sqrt(0.26 * 0.74 / cells));
}

TEST(Encoder, CountsEveryCellOfFullAttention) {
  const at::NoGradGuard no_gradients;
  const Model model = small_model(kFull);
  const ModelParameters parameters(model, class_shape(), 1);
  const Encoder encoder(model, parameters);
  const Samples samples({5, 8}, 11, 3);
  const EncoderOutput output = encoder.forward(samples.input(0, 2, 8));
  EXPECT_EQ(output.edge_counts.sizes().vec(), (std::vector<std::int64_t>{2, 2, 2, 3}));
  EXPECT_TRUE(at::equal(output.edge_counts[1][0][1], at::tensor({25, 0, 25}, at::kLong)));
  EXPECT_TRUE(output.expected_density.eq(1).all().item<bool>());
  EXPECT_TRUE(draw_mask_pictures(encoder, samples.input(0, 1, 8), 8).empty());
}

TEST(Encoder, RefusesInputItCannotRead) {
  const Model model = small_model();
  const ModelParameters parameters(model, class_shape(), 1);
  const Encoder encoder(model, parameters);
  const Samples samples({5, 8}, 11, 3);
  const EncoderInput good = samples.input(0, 2, 8);
  const auto refused = [&](const std::function<void(EncoderInput&)>& spoil) {
    EncoderInput input = good;
    input.valid = good.valid.clone();
    spoil(input);
    EXPECT_THROW(static_cast<void>(encoder.forward(input)), InternalError);
  };
  refused([](EncoderInput& input) { input.tokens = input.tokens.to(at::kInt); });
  refused([](EncoderInput& input) { input.tokens = at::Tensor(); });
  refused([](EncoderInput& input) { input.valid = input.valid.to(at::kByte); });
  refused([](EncoderInput& input) { input.valid = input.valid.narrow(1, 0, 7); });
  refused([](EncoderInput& input) { input.valid[1].zero_(); });
  refused([](EncoderInput& input) { input.sample_ids = input.sample_ids.first(1); });
  refused([](EncoderInput& input) {
    input.tokens = at::zeros({2, 49}, at::kLong);
    input.valid = at::ones({2, 49}, at::kBool);
  });
  EXPECT_THROW(static_cast<void>(draw_mask_pictures(encoder, good, 8)), InternalError);
}

TEST(MaskPictures, AreCroppedAndCountTheEdgesOfTheForwardPass) {
  const at::NoGradGuard no_gradients;
  const Model model = small_model();
  ModelParameters parameters(model, class_shape(), 1);
  scatter(parameters, 2);
  const Encoder encoder(model, parameters);
  const Samples samples({30}, 11, 3);
  const EncoderInput input = samples.input(0, 1, 32);
  const EncoderOutput output = encoder.forward(input);
  for (const MaskPicture& picture : draw_mask_pictures(encoder, input, 1000)) {
    EXPECT_EQ(picture.tokens, 30);
    const at::Tensor counts = output.edge_counts[picture.layer][0][picture.head];
    EXPECT_EQ(std::count(picture.mask.begin(), picture.mask.end(), 1),
              counts[0].item<std::int64_t>() + counts[1].item<std::int64_t>());
  }
  const std::vector<MaskPicture> whole = draw_mask_pictures(encoder, input, 30);
  const std::vector<MaskPicture> part = draw_mask_pictures(encoder, input, 4);
  ASSERT_EQ(part.size(), 4U);
  for (std::size_t p = 0; p < part.size(); ++p) {
    EXPECT_EQ(part[p].tokens, 4);
    for (std::size_t row = 0; row < 4; ++row) {
      for (std::size_t column = 0; column < 4; ++column) {
        EXPECT_EQ(part[p].mask[row * 4 + column], whole[p].mask[row * 30 + column]);
        EXPECT_FLOAT_EQ(part[p].probability[row * 4 + column],
                        whole[p].probability[row * 30 + column]);
      }
    }
  }
}

}  // namespace
}  // namespace sbm::trainer
