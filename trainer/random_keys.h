#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/random_stream.h"
#include "trainer/encoder_input.h"

// The Philox keys of a micro-batch as tensors, int64 with the bits of PhiloxKey, on the device of
// the micro-batch. They are computed by the host, which knows ids and step, for each pass anew.
namespace sbm::trainer {

/// Uses of kResidualDropout within a layer.
enum class DropoutSite : std::uint32_t { kAttention = 0, kFeedForwardHidden = 1, kFeedForward = 2 };

/// [batch, heads]: one stream a graph.
at::Tensor graph_keys(const EncoderInput& input, StreamPurpose purpose, std::int64_t layer,
                      std::int64_t heads);

/// [batch]: one stream a sample.
at::Tensor sample_keys(const EncoderInput& input, StreamPurpose purpose, std::int64_t layer,
                       std::uint32_t site);

/// [batch, heads]: what the masks of a layer are drawn with. Controls have streams of their own,
/// so that they are independent of the learnt mask they stand in for.
at::Tensor mask_keys(const EncoderInput& input, std::int64_t layer, std::int64_t heads);

}  // namespace sbm::trainer
