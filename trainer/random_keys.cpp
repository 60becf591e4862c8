#include "trainer/random_keys.h"

#include <ATen/ATen.h>

#include <bit>

#include "trainer/upload.h"

namespace sbm::trainer {
namespace {

StreamId stream_of(const EncoderInput& input, StreamPurpose purpose, std::int64_t layer) {
  StreamId id;
  id.purpose = purpose;
  id.step = input.step;
  id.draw = input.draw;
  id.layer = static_cast<std::uint32_t>(layer);
  return id;
}

void name_row(const EncoderInput& input, std::size_t row, StreamId& id) {
  id.sample = input.sample_ids[row];
  id.sequence = input.sequences.empty() ? 0 : input.sequences[row];
}

at::Tensor beside_tokens(const EncoderInput& input, const at::Tensor& keys) {
  return input.tokens.defined() ? upload(keys, input.tokens.device()) : keys;
}

}  // namespace

at::Tensor graph_keys(const EncoderInput& input, StreamPurpose purpose, std::int64_t layer,
                      std::int64_t heads) {
  const auto batch = static_cast<std::int64_t>(input.sample_ids.size());
  at::Tensor keys = at::empty({batch, heads}, at::kLong);
  auto* out = keys.mutable_data_ptr<std::int64_t>();
  StreamId id = stream_of(input, purpose, layer);
  for (std::size_t row = 0; row < input.sample_ids.size(); ++row) {
    name_row(input, row, id);
    for (std::int64_t head = 0; head < heads; ++head) {
      id.head = static_cast<std::uint32_t>(head);
      *out++ = std::bit_cast<std::int64_t>(stream_key(input.seed, id));
    }
  }
  return beside_tokens(input, keys);
}

at::Tensor sample_keys(const EncoderInput& input, StreamPurpose purpose, std::int64_t layer,
                       std::uint32_t site) {
  at::Tensor keys = at::empty({static_cast<std::int64_t>(input.sample_ids.size())}, at::kLong);
  auto* out = keys.mutable_data_ptr<std::int64_t>();
  StreamId id = stream_of(input, purpose, layer);
  id.site = site;
  for (std::size_t row = 0; row < input.sample_ids.size(); ++row) {
    name_row(input, row, id);
    *out++ = std::bit_cast<std::int64_t>(stream_key(input.seed, id));
  }
  return beside_tokens(input, keys);
}

at::Tensor mask_keys(const EncoderInput& input, std::int64_t layer, std::int64_t heads) {
  const StreamPurpose purpose =
      input.mask == MaskControl::kLearned ? StreamPurpose::kMask : StreamPurpose::kMaskControl;
  return graph_keys(input, purpose, layer, heads);
}

}  // namespace sbm::trainer
