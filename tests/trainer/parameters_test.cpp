#include "trainer/parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "tests/trainer/model_fixture.h"

namespace sbm::trainer {
namespace {

using testing_support::class_shape;
using testing_support::document_shape;
using testing_support::masked_shape;
using testing_support::score_shape;
using testing_support::segment_shape;
using testing_support::small_model;
using testing_support::token_shape;

std::string describe(const distributed::ParameterSpec& spec) {
  std::string text = spec.name + " [";
  for (std::size_t i = 0; i < spec.shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(spec.shape[i]);
  }
  return text + (spec.decay ? "] decay" : "]");
}

TEST(ParameterSpecs, AreTheDocumentedOnes) {
  Model model = small_model();
  model.set_layers(1);
  std::vector<std::string> found;
  for (const auto& spec : parameter_specs(model, class_shape())) found.push_back(describe(spec));
  const std::string attention = "encoder.layers.0.attention.";
  const std::string feed_forward = "encoder.layers.0.feed_forward.";
  EXPECT_THAT(
      found,
      testing::ElementsAre(
          "encoder.token_embedding.weight [11, 12]", "encoder.position_embedding.weight [48, 12]",
          "encoder.layers.0.attention_norm.weight [12]",
          "encoder.layers.0.attention_norm.bias [12]", attention + "query.weight [16, 12] decay",
          attention + "query.bias [16]", attention + "key.weight [16, 12] decay",
          attention + "key.bias [16]", attention + "value.weight [16, 12] decay",
          attention + "value.bias [16]", attention + "cluster_embedding [2, 5, 8]",
          attention + "membership.hidden.weight [8, 8] decay",
          attention + "membership.hidden.bias [8]",
          attention + "membership.output.weight [8, 8] decay",
          attention + "membership.output.bias [8]", attention + "output.weight [12, 16] decay",
          attention + "output.bias [12]", "encoder.layers.0.feed_forward_norm.weight [12]",
          "encoder.layers.0.feed_forward_norm.bias [12]",
          feed_forward + "hidden.weight [20, 12] decay", feed_forward + "hidden.bias [20]",
          feed_forward + "output.weight [12, 20] decay", feed_forward + "output.bias [12]",
          "encoder.final_norm.weight [12]", "encoder.final_norm.bias [12]",
          "head.hidden.weight [10, 12] decay", "head.hidden.bias [10]",
          "head.output.weight [4, 10] decay", "head.output.bias [4]"));
}

TEST(ParameterSpecs, FollowTheConfiguration) {
  Model model = small_model("learned_positions: false");
  model.mutable_attention()->set_type(Attention::FULL);
  model.set_head_hidden_dim(0);
  for (const auto& spec : parameter_specs(model, token_shape())) {
    EXPECT_EQ(spec.name.find("position"), std::string::npos);
    EXPECT_EQ(spec.name.find("cluster"), std::string::npos);
    EXPECT_EQ(spec.name.find("membership"), std::string::npos);
    EXPECT_EQ(spec.name.find("head.hidden"), std::string::npos);
  }
  for (const auto& spec : parameter_specs(model, class_shape())) {
    EXPECT_EQ(spec.name.find("segment"), std::string::npos);
  }
  const auto of_pairs = parameter_specs(model, segment_shape());
  EXPECT_EQ(describe(of_pairs[1]), "encoder.segment_embedding.weight [2, 12]");
  const auto of_documents = parameter_specs(model, document_shape());
  EXPECT_EQ(describe(of_documents[of_documents.size() - 4]), "head.hidden.weight [20, 48] decay");
  EXPECT_EQ(describe(parameter_specs(model, score_shape()).back()), "head.output.bias [1]");
  std::vector<std::string> of_masked;
  for (const auto& spec : parameter_specs(model, masked_shape())) {
    if (spec.name.starts_with("head.")) of_masked.push_back(describe(spec));
  }
  EXPECT_THAT(of_masked, testing::ElementsAre("head.transform.weight [12, 12] decay",
                                              "head.transform.bias [12]", "head.norm.weight [12]",
                                              "head.norm.bias [12]", "head.output.bias [11]"));
  const auto specs = parameter_specs(model, class_shape());
  EXPECT_EQ(describe(specs[specs.size() - 4]), "head.hidden.weight [20, 12] decay");
  EXPECT_THROW(static_cast<void>(parameter_specs(model, {11, 4, data::LabelKind::kNone})),
               ConfigError);
  EXPECT_THROW(static_cast<void>(parameter_specs(
                   model, {11, 4, data::LabelKind::kPerToken, SampleParts::kDocuments})),
               ConfigError);
}

TEST(ModelParameters, LieInOneAlignedBuffer) {
  ModelParameters parameters(small_model(), class_shape(), 1);
  const float* begin = parameters.weights().data();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(begin) % 64, 0U);
  for (const auto& entry : parameters.layout().entries()) {
    const at::Tensor& tensor = parameters.get(entry.spec.name);
    EXPECT_EQ(tensor.const_data_ptr<float>(), begin + entry.range.begin) << entry.spec.name;
    EXPECT_EQ(tensor.sizes().vec(), entry.spec.shape);
    EXPECT_TRUE(tensor.is_leaf() && tensor.requires_grad());
  }
  parameters.weights()[0] = 42.0F;
  EXPECT_EQ(parameters.get("encoder.token_embedding.weight")[0][0].item<float>(), 42.0F);
  EXPECT_THROW(static_cast<void>(parameters.get("encoder.nothing")), InternalError);
}

TEST(ModelParameters, StartAsThePublishedCodeDoes) {
  Model model = parse_config(R"(model { layers: 1 head_dim: 32 embedding_dim: 64 max_length: 500
                                        embedding_std: 0.02 })",
                             "test")
                    .model();
  const ModelParameters parameters(model, {500, 10, data::LabelKind::kClass}, 1);
  const std::string layer = "encoder.layers.0.";
  const auto deviation = [&](const std::string& name) {
    return parameters.get(name).std(false).item<double>();
  };
  // Relative error of a standard deviation over N normal values is 1 / sqrt(2 N): 5 sigma allowed.
  EXPECT_NEAR(deviation("encoder.token_embedding.weight"), 0.02, 0.02 * 5 / std::sqrt(2 * 32000));
  const double clusters = std::sqrt(2.0 / (128 * 32));
  EXPECT_NEAR(deviation(layer + "attention.cluster_embedding"), clusters,
              clusters * 5 / std::sqrt(2 * 8192));
  EXPECT_NEAR(parameters.get("encoder.token_embedding.weight").mean().item<double>(), 0.0,
              5 * 0.02 / std::sqrt(32000));
  const at::Tensor& query = parameters.get(layer + "attention.query.weight");
  EXPECT_LE(query.abs().max().item<double>(), 1.0 / 8);
  EXPECT_GT(query.abs().max().item<double>(), 0.99 / 8);
  EXPECT_NEAR(query.std(false).item<double>(), 1.0 / 8 / std::sqrt(3), 0.003);
  EXPECT_LE(parameters.get(layer + "feed_forward.output.bias").abs().max().item<double>(),
            1.0 / std::sqrt(128));
  EXPECT_TRUE(parameters.get(layer + "attention_norm.weight").eq(1).all().item<bool>());
  EXPECT_TRUE(parameters.get(layer + "attention_norm.bias").eq(0).all().item<bool>());
}

TEST(ModelParameters, FollowFromSeedAndNameAlone) {
  const ModelParameters first(small_model(), class_shape(), 1);
  const ModelParameters again(small_model(), class_shape(), 1);
  EXPECT_TRUE(std::ranges::equal(first.weights(), again.weights()));
  const ModelParameters other(small_model(), class_shape(), 2);
  EXPECT_FALSE(std::ranges::equal(first.weights(), other.weights()));
  // Another layer before the head moves the head's place in the buffer, not its values.
  Model deeper = small_model();
  deeper.set_layers(3);
  const ModelParameters third(deeper, class_shape(), 1);
  EXPECT_TRUE(at::equal(first.get("head.output.weight"), third.get("head.output.weight")));
  EXPECT_FALSE(at::equal(third.get("encoder.layers.0.attention.query.weight"),
                         third.get("encoder.layers.1.attention.query.weight")));
}

TEST(ModelParameters, BindGradientsToACallersBuffer) {
  ModelParameters parameters(small_model(), class_shape(), 1);
  std::vector<float> gradient(static_cast<std::size_t>(parameters.layout().size()), 0.0F);
  parameters.bind_gradients(gradient);
  const at::Tensor& weight = parameters.get("head.output.weight");
  (weight * 3.0).sum().backward();
  (weight * 2.0).sum().backward();
  std::multiset<float> seen(gradient.begin(), gradient.end());
  EXPECT_EQ(seen.count(5.0F), static_cast<std::size_t>(weight.numel()));
  EXPECT_EQ(seen.count(0.0F), gradient.size() - static_cast<std::size_t>(weight.numel()));
  EXPECT_THROW(parameters.bind_gradients(std::span(gradient).first(10)), InternalError);
}

}  // namespace
}  // namespace sbm::trainer
