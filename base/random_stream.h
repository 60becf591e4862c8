#pragma once

#include <cstdint>

#include "base/philox.h"

namespace sbm {

/// What a random stream is for. The numbers are part of the contract: they enter the hash, so an
/// entry is never renumbered and never reused.
enum class StreamPurpose : std::uint32_t {
  kMask = 1,              ///< edges of a sampled attention graph
  kProbe = 2,             ///< probed non-edges of the TRAPEZOID estimator
  kAttentionDropout = 3,  ///< dropout of attention weights
  kEmbeddingDropout = 4,  ///< dropout after the embeddings
  kResidualDropout = 5,   ///< dropout of a block's output; `site` tells which
  kDataOrder = 6,         ///< the permutation of an epoch
  kInitialisation = 7,    ///< initial weights
  kDataGeneration = 8,    ///< generated data sets
  kMaskedLanguage = 9,    ///< masked-LM choices
  kMaskControl = 10,      ///< the random and rank-1 masks of `sbm eval --mask`
};

/// Everything that tells one random stream from another. Nothing here depends on the rank, the
/// position in a batch, the neighbours, the padded length or the device.
struct StreamId {
  StreamPurpose purpose{};
  std::uint64_t step = 0;      ///< optimiser step; 0 in evaluation
  std::uint32_t draw = 0;      ///< 0 in training, 1 + the draw in evaluation
  std::uint64_t sample = 0;    ///< global sample id
  std::uint32_t sequence = 0;  ///< which sequence of a sample that has several
  std::uint32_t layer = 0;
  std::uint32_t head = 0;
  std::uint32_t site = 0;  ///< tells apart several uses of one purpose in a layer
};

/// The Philox key of a stream: a hash of the run's seed and the identity, by three chained blocks
/// of Philox4x32-10 (each block's output is the next one's key and is added to its counter).
[[nodiscard]] constexpr PhiloxKey stream_key(std::uint64_t seed, const StreamId& id) {
  const auto low = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
  const auto high = [](std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); };
  const PhiloxBlock blocks[3] = {
      {static_cast<std::uint32_t>(id.purpose), id.layer, id.head, id.site},
      {low(id.step), high(id.step), id.draw, id.sequence},
      {low(id.sample), high(id.sample), 0x53424D31U, 0U}};  // "SBM1"
  PhiloxKey key = seed;
  PhiloxBlock state{};
  for (const PhiloxBlock& block : blocks) {
    const PhiloxBlock counter = {block[0] + state[2], block[1] + state[3], block[2], block[3]};
    state = philox4x32<10>(counter, key);
    key = (static_cast<std::uint64_t>(state[1]) << 32) | state[0];
  }
  return key;
}

}  // namespace sbm
