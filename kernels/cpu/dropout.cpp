#include "kernels/cpu/dropout.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <optional>
#include <string>

#include "base/checked.h"
#include "kernels/attention_dropout.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dropout.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kRounds = 7;
constexpr std::int64_t kFeaturesPerCall = 8;
constexpr std::int64_t kCallsPerChunk = 64;

#if HWY_TARGET == HWY_SCALAR

// The halves of calls [first, first + calls) of one token in the order of the features; at most
// kCallsPerChunk of them.
void draw_calls(std::uint32_t token, std::uint32_t first, std::int64_t calls, PhiloxKey key,
                std::uint16_t* halves) {
  for (std::int64_t call = 0; call < calls; ++call) {
    const PhiloxBlock words =
        philox4x32<kRounds>({token, first + static_cast<std::uint32_t>(call), 0, 0}, key);
    for (int word = 0; word < 4; ++word) {
      *halves++ = static_cast<std::uint16_t>(words[word] & 0xFFFFU);
      *halves++ = static_cast<std::uint16_t>(words[word] >> 16);
    }
  }
}

#else

// As above, one call a 64-bit lane: a word in the low half of its lane needs no shuffle between
// rounds, and whatever the high half holds never reaches a product.
void draw_calls(std::uint32_t token, std::uint32_t first, std::int64_t calls, PhiloxKey key,
                std::uint16_t* halves) {
  const hn::ScalableTag<std::uint64_t> d64;
  const hn::Repartition<std::uint32_t, decltype(d64)> d32;
  const auto product = [&](auto word, std::uint32_t multiplier) {
    return hn::MulEven(hn::BitCast(d32, word), hn::Set(d32, multiplier));
  };
  alignas(64) std::uint64_t blocks[2 * kCallsPerChunk];
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d64));
  for (std::int64_t call = 0; call < calls; call += lanes) {
    auto key0 = static_cast<std::uint32_t>(key);
    auto key1 = static_cast<std::uint32_t>(key >> 32);
    auto word0 = hn::Set(d64, std::uint64_t{token});
    auto word1 = hn::Iota(d64, std::uint64_t{first} + static_cast<std::uint64_t>(call));
    auto word2 = hn::Zero(d64);
    auto word3 = hn::Zero(d64);
    for (int round = 0; round < kRounds; ++round) {
      const auto product0 = product(word0, 0xD2511F53U);
      const auto product1 = product(word2, 0xCD9E8D57U);
      word0 =
          hn::Xor(hn::Xor(hn::ShiftRight<32>(product1), word1), hn::Set(d64, std::uint64_t{key0}));
      word2 =
          hn::Xor(hn::Xor(hn::ShiftRight<32>(product0), word3), hn::Set(d64, std::uint64_t{key1}));
      word1 = product1;
      word3 = product0;
      key0 += 0x9E3779B9U;
      key1 += 0xBB67AE85U;
    }
    const auto low_half = hn::Set(d64, std::uint64_t{0xFFFFFFFF});
    const auto words01 = hn::Or(hn::And(word0, low_half), hn::ShiftLeft<32>(word1));
    const auto words23 = hn::Or(hn::And(word2, low_half), hn::ShiftLeft<32>(word3));
    hn::StoreInterleaved2(words01, words23, d64, blocks + 2 * call);
  }
  // In little-endian memory the 16-bit halves now lie in the order of the features.
  std::memcpy(halves, blocks, static_cast<std::size_t>(calls * kFeaturesPerCall) * sizeof(*halves));
}

#endif

void drop_token(const float* input, float* output, std::int64_t features, std::uint32_t token,
                PhiloxKey key, std::int32_t threshold, float scale) {
  alignas(64) std::uint16_t halves[kCallsPerChunk * kFeaturesPerCall];
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> di;
  const hn::Rebind<std::uint16_t, decltype(df)> du16;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  const auto drop_below = hn::Set(di, threshold);
  const auto factor = hn::Set(df, scale);

  constexpr std::int64_t kFeaturesPerChunk = kCallsPerChunk * kFeaturesPerCall;
  for (std::int64_t start = 0; start < features; start += kFeaturesPerChunk) {
    const std::int64_t count = std::min(kFeaturesPerChunk, features - start);
    draw_calls(token, static_cast<std::uint32_t>(start / kFeaturesPerCall),
               ceil_divide(count, kFeaturesPerCall), key, halves);
    std::int64_t i = 0;
    for (; i + lanes <= count; i += lanes) {
      const auto half = hn::PromoteTo(di, hn::LoadU(du16, halves + i));
      const auto kept = hn::RebindMask(df, hn::Not(hn::Lt(half, drop_below)));
      const auto value = hn::Mul(hn::LoadU(df, input + start + i), factor);
      hn::StoreU(hn::IfThenElseZero(kept, value), df, output + start + i);
    }
    for (; i < count; ++i) {
      output[start + i] = halves[i] < threshold ? 0.0F : input[start + i] * scale;
    }
  }
}

void drop_tokens(const float* input, float* output, std::int64_t first_token,
                 std::int64_t last_token, std::int64_t features, PhiloxKey key,
                 std::int32_t threshold, float scale) {
  for (std::int64_t token = first_token; token < last_token; ++token) {
    drop_token(input + token * features, output + token * features, features,
               static_cast<std::uint32_t>(token), key, threshold, scale);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sbm::kernels::cpu {

HWY_EXPORT(drop_tokens);

Status keyed_dropout(std::span<const float> input, std::span<float> output, std::int64_t tokens,
                     std::int64_t features, double probability, std::span<const PhiloxKey> keys,
                     Executor& executor) {
  constexpr std::int64_t kMaxTokens = std::numeric_limits<std::uint32_t>::max();
  constexpr std::int64_t kMaxFeatures = std::int64_t{1} << 32;
  if (tokens < 0 || tokens > kMaxTokens) {
    return Status::invalid("tokens: expected 0 to 2^32 - 1, found " + std::to_string(tokens));
  }
  if (features < 0 || features > kMaxFeatures) {
    return Status::invalid("features: expected 0 to 2^32, found " + std::to_string(features));
  }
  const bool fits =
      probability >= 0.0 && probability < 1.0 && attention_dropout_threshold(probability) < 65536;
  if (!fits) {
    return Status::invalid(
        "probability: expected at least 0 and, in steps of 1/65536, below 1, "
        "found " +
        std::to_string(probability));
  }
  const auto samples = static_cast<std::int64_t>(keys.size());
  const auto elements_of_sample = checked_multiply(tokens, features);
  const auto elements =
      elements_of_sample ? checked_multiply(*elements_of_sample, samples) : std::nullopt;
  if (!elements || input.size() != static_cast<std::size_t>(*elements) ||
      output.size() != input.size()) {
    return Status::invalid("input and output: expected " + std::to_string(samples) + " x " +
                           std::to_string(tokens) + " x " + std::to_string(features) +
                           " elements, found " + std::to_string(input.size()) + " and " +
                           std::to_string(output.size()));
  }
  if (*elements == 0) return {};

  const std::uint32_t threshold = attention_dropout_threshold(probability);
  const auto scale = static_cast<float>(attention_dropout_scale(threshold));
  // A piece is large enough to pay for handing it out.
  constexpr std::int64_t kElementsPerPiece = 16384;
  const std::int64_t piece_tokens = std::max<std::int64_t>(1, kElementsPerPiece / features);
  const std::int64_t pieces = ceil_divide(tokens, piece_tokens);
  executor.parallel_for(samples * pieces, [&](std::int64_t index) {
    const std::int64_t sample = index / pieces;
    const std::int64_t first = index % pieces * piece_tokens;
    const std::int64_t offset = sample * tokens * features;
    HWY_DYNAMIC_DISPATCH(drop_tokens)
    (input.data() + offset, output.data() + offset, first, std::min(tokens, first + piece_tokens),
     features, keys[static_cast<std::size_t>(sample)], static_cast<std::int32_t>(threshold), scale);
  });
  return {};
}

}  // namespace sbm::kernels::cpu
#endif  // HWY_ONCE
