#include "trainer/random_keys.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <bit>
#include <set>

#include "tests/trainer/model_fixture.h"

namespace sbm::trainer {
namespace {

EncoderInput input_of(std::span<const std::uint64_t> ids) {
  EncoderInput input;
  input.sample_ids = ids;
  input.seed = 9;
  input.step = 12;
  input.draw = 3;
  return input;
}

std::int64_t expected(const StreamId& id) { return std::bit_cast<std::int64_t>(stream_key(9, id)); }

TEST(RandomKeys, AreTheStreamsOfTheContract) {
  const std::vector<std::uint64_t> ids = {70, 71};
  const EncoderInput input = input_of(ids);
  const at::Tensor graphs = graph_keys(input, StreamPurpose::kAttentionDropout, 4, 3);
  ASSERT_EQ(graphs.sizes().vec(), (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(graphs[1][2].item<std::int64_t>(),
            expected({StreamPurpose::kAttentionDropout, 12, 3, 71, 0, 4, 2, 0}));
  const at::Tensor samples = sample_keys(input, StreamPurpose::kResidualDropout, 4, 2);
  ASSERT_EQ(samples.sizes().vec(), (std::vector<std::int64_t>{2}));
  EXPECT_EQ(samples[0].item<std::int64_t>(),
            expected({StreamPurpose::kResidualDropout, 12, 3, 70, 0, 4, 0, 2}));
}

TEST(RandomKeys, OfMasksTellControlsFromLearntOnes) {
  const std::vector<std::uint64_t> ids = {70};
  EncoderInput input = input_of(ids);
  EXPECT_EQ(mask_keys(input, 1, 2)[0][1].item<std::int64_t>(),
            expected({StreamPurpose::kMask, 12, 3, 70, 0, 1, 1, 0}));
  input.mask = MaskControl::kRank1;
  EXPECT_EQ(mask_keys(input, 1, 2)[0][1].item<std::int64_t>(),
            expected({StreamPurpose::kMaskControl, 12, 3, 70, 0, 1, 1, 0}));
}

TEST(RandomKeys, NeverMeet) {
  const std::vector<std::uint64_t> ids = {70, 71};
  const EncoderInput input = input_of(ids);
  std::multiset<std::int64_t> keys;
  const auto collect = [&](const at::Tensor& tensor) {
    const std::int64_t* begin = tensor.const_data_ptr<std::int64_t>();
    keys.insert(begin, begin + tensor.numel());
  };
  for (const std::int64_t layer : {0, 1}) {
    collect(mask_keys(input, layer, 2));
    collect(graph_keys(input, StreamPurpose::kAttentionDropout, layer, 2));
    for (const DropoutSite site :
         {DropoutSite::kAttention, DropoutSite::kFeedForwardHidden, DropoutSite::kFeedForward}) {
      collect(sample_keys(input, StreamPurpose::kResidualDropout, layer,
                          static_cast<std::uint32_t>(site)));
    }
  }
  collect(sample_keys(input, StreamPurpose::kEmbeddingDropout, 0, 0));
  EXPECT_EQ(std::set<std::int64_t>(keys.begin(), keys.end()).size(), keys.size());
}

}  // namespace
}  // namespace sbm::trainer
