#include "data/length_buckets.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/checked.h"
#include "base/error.h"

namespace sbm::data {
namespace {

constexpr std::uint64_t kEdgesOfAnOctave = 8;

// The numbers below `count` in the order of their reversed bits.
std::vector<std::size_t> bit_reversed(std::size_t count) {
  const int bits = std::bit_width(std::bit_ceil(count)) - 1;
  std::vector<std::size_t> order;
  order.reserve(count);
  for (std::size_t i = 0; i < std::bit_ceil(count); ++i) {
    std::size_t reversed = 0;
    for (int bit = 0; bit < bits; ++bit) reversed |= (i >> bit & 1) << (bits - 1 - bit);
    if (reversed < count) order.push_back(reversed);
  }
  return order;
}

std::vector<std::vector<std::uint64_t>> cut(std::span<const std::uint64_t> ids,
                                            std::size_t micro_batch) {
  std::vector<std::vector<std::uint64_t>> parts;
  parts.reserve(ids.size() / micro_batch + 1);
  for (; !ids.empty(); ids = ids.subspan(std::min(micro_batch, ids.size()))) {
    const auto part = ids.first(std::min(micro_batch, ids.size()));
    parts.emplace_back(part.begin(), part.end());
  }
  return parts;
}

}  // namespace

std::int64_t bucket_edge(std::int64_t length, std::int64_t granularity) {
  if (length < 1 || granularity < 0) throw InternalError("the bucket of an impossible length");
  std::int64_t step = granularity;
  if (step == 0) {
    step = kLengthMultiple;
  } else {
    const std::uint64_t octave = std::bit_ceil(static_cast<std::uint64_t>(length)) / 2;
    step = std::max(step, static_cast<std::int64_t>(octave / kEdgesOfAnOctave));
  }
  const auto edge = checked_multiply(ceil_divide(length, step), step);
  if (!edge) throw InternalError("the bucket of a length does not fit 64 bits");
  return *edge;
}

std::int64_t sequence_length(const Dataset& dataset, std::uint64_t id,
                             const LengthBuckets& buckets) {
  const std::int64_t length = std::min(dataset.length(id), buckets.max_length);
  if (buckets.part_length == 0) return length;
  const std::int64_t first = std::min<std::int64_t>(dataset.first_length(id), length);
  return std::min(std::max(first, length - first), buckets.part_length);
}

std::vector<std::vector<std::uint64_t>> cut_by_length(const Dataset& dataset,
                                                      std::span<const std::uint64_t> ids,
                                                      std::int64_t micro_batch,
                                                      const LengthBuckets& buckets) {
  if (micro_batch < 1) throw InternalError("micro-batches of no samples");
  const auto size = static_cast<std::size_t>(micro_batch);
  if (buckets.granularity == 0 || ids.empty()) return cut(ids, size);
  std::vector<std::pair<std::int64_t, std::uint64_t>> samples;
  samples.reserve(ids.size());
  for (const std::uint64_t id : ids)
    samples.emplace_back(sequence_length(dataset, id, buckets), id);
  const auto [shortest, longest] = std::minmax_element(samples.begin(), samples.end());
  if (bucket_edge(shortest->first, buckets.granularity) ==
      bucket_edge(longest->first, buckets.granularity)) {
    return cut(ids, size);
  }
  std::sort(samples.begin(), samples.end());
  std::vector<std::uint64_t> sorted(samples.size());
  std::transform(samples.begin(), samples.end(), sorted.begin(),
                 [](const auto& sample) { return sample.second; });
  std::vector<std::vector<std::uint64_t>> by_length = cut(sorted, size);
  std::vector<std::vector<std::uint64_t>> dealt;
  dealt.reserve(by_length.size());
  for (const std::size_t number : bit_reversed(by_length.size())) {
    dealt.push_back(std::move(by_length[number]));
  }
  return dealt;
}

}  // namespace sbm::data
