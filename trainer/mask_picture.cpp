#include "trainer/mask_picture.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "kernels/cpu/sampler.h"
#include "trainer/random_keys.h"
#include "trainer/shown_tokens.h"

namespace sbm::trainer {
namespace {

std::vector<kernels::EdgeList> sample_graphs(const Memberships& memberships, const Model& model,
                                             const EncoderInput& input, std::int64_t layer) {
  const at::Tensor query = memberships.query.detach().contiguous();
  const at::Tensor key = memberships.key.detach().contiguous();
  const at::Tensor block = memberships.block.detach().contiguous();
  const at::Tensor valid = input.valid.to(at::kByte).contiguous();
  const at::Tensor keys = mask_keys(input, layer, model.heads());
  std::vector<PhiloxKey> mask_key(static_cast<std::size_t>(model.heads()));
  for (std::size_t head = 0; head < mask_key.size(); ++head) {
    mask_key[head] = std::bit_cast<PhiloxKey>(keys.const_data_ptr<std::int64_t>()[head]);
  }
  const auto options = attention_options(model.attention(), input.mask, input.training);
  kernels::SamplingParams params;
  params.batch = 1;
  params.heads = model.heads();
  params.queries = query.size(2);
  params.keys = key.size(2);
  params.clusters = query.size(3);
  params.query_membership = query.const_data_ptr<float>();
  params.key_membership = key.const_data_ptr<float>();
  params.block_matrix = block.const_data_ptr<float>();
  params.query_valid = valid.const_data_ptr<std::uint8_t>();
  params.key_valid = valid.const_data_ptr<std::uint8_t>();
  params.mask_keys = mask_key.data();
  params.law = options.law;
  params.self_loops = options.self_loops;
  params.exploration = options.exploration;
  std::vector<kernels::EdgeList> graphs(mask_key.size());
  kernels::SerialExecutor executor;
  const kernels::Status status = kernels::cpu::sample_edges(params, executor, graphs);
  if (!status.ok()) throw InternalError("mask picture: " + status.message());
  return graphs;
}

std::vector<std::uint8_t> draw(const kernels::EdgeList& graph, std::int64_t tokens) {
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(tokens * tokens), 0);
  for (std::int64_t row = 0; row < tokens; ++row) {
    for (std::int64_t edge = graph.row_offsets[static_cast<std::size_t>(row)];
         edge < graph.row_offsets[static_cast<std::size_t>(row + 1)]; ++edge) {
      const std::int64_t column = graph.columns[static_cast<std::size_t>(edge)];
      if (column < tokens) mask[static_cast<std::size_t>(row * tokens + column)] = 1;
    }
  }
  return mask;
}

}  // namespace

std::vector<MaskPicture> draw_mask_pictures(const Encoder& encoder, const EncoderInput& input,
                                            std::int64_t most_tokens) {
  if (input.sample_ids.size() != 1) {
    throw InternalError("mask picture: expected one sample, found " +
                        std::to_string(input.sample_ids.size()));
  }
  const at::NoGradGuard no_gradients;
  std::vector<Memberships> layers = encoder.memberships(input);
  for (Memberships& layer : layers) {
    layer = {layer.query.cpu(), layer.key.cpu(), layer.block.cpu()};
  }
  EncoderInput shown = input;
  shown.valid = shown_tokens(encoder.model(), input);
  const std::int64_t tokens = std::min(most_tokens, input.valid.sum().item<std::int64_t>());
  std::vector<MaskPicture> pictures;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const auto number = static_cast<std::int64_t>(layer);
    const auto graphs = sample_graphs(layers[layer], encoder.model(), shown, number);
    const at::Tensor query = layers[layer].query[0].narrow(1, 0, tokens);
    const at::Tensor key = layers[layer].key[0].narrow(1, 0, tokens);
    const at::Tensor probability =
        at::matmul(at::matmul(query, layers[layer].block), key.transpose(-1, -2)).contiguous();
    for (std::size_t head = 0; head < graphs.size(); ++head) {
      const float* cells = probability[static_cast<std::int64_t>(head)].const_data_ptr<float>();
      MaskPicture picture;
      picture.layer = static_cast<int>(layer);
      picture.head = static_cast<int>(head);
      picture.tokens = tokens;
      picture.probability.assign(cells, cells + tokens * tokens);
      picture.mask = draw(graphs[head], tokens);
      pictures.push_back(std::move(picture));
    }
  }
  return pictures;
}

}  // namespace sbm::trainer
