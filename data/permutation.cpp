#include "data/permutation.h"

#include <fmt/format.h>

#include <bit>

#include "base/error.h"
#include "base/random_stream.h"
#include "data/loader.h"

namespace sbm::data {
namespace {

// On a handful of elements few rounds would leave a bias that a test can see.
constexpr std::uint32_t kRounds = 24;

constexpr std::uint64_t mask(int bits) { return bits == 0 ? 0 : ~std::uint64_t{0} >> (64 - bits); }

}  // namespace

Permutation::Permutation(PhiloxKey key, std::uint64_t size) : key_(key), size_(size) {
  if (size == 0) throw InternalError("there is no permutation of nothing");
  const int bits = std::bit_width(size - 1);
  low_bits_ = (bits + 1) / 2;
  high_bits_ = bits / 2;
}

std::uint64_t Permutation::network(std::uint64_t value) const {
  std::uint64_t low = value & mask(low_bits_);
  std::uint64_t high = value >> low_bits_;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    // The halves may differ by a bit, so they take turns instead of being swapped.
    std::uint64_t& target = round % 2 == 0 ? low : high;
    const std::uint64_t source = round % 2 == 0 ? high : low;
    const PhiloxBlock words = philox4x32<10>(
        {static_cast<std::uint32_t>(source), static_cast<std::uint32_t>(source >> 32), round, 0},
        key_);
    const std::uint64_t random = (std::uint64_t{words[1]} << 32) | words[0];
    target ^= random & mask(round % 2 == 0 ? low_bits_ : high_bits_);
  }
  return (high << low_bits_) | low;
}

std::uint64_t Permutation::operator()(std::uint64_t position) const {
  if (position >= size_) {
    throw InternalError(fmt::format("element {} of a permutation of {}", position, size_));
  }
  std::uint64_t value = network(position);
  while (value >= size_) value = network(value);
  return value;
}

std::uint64_t sample_at(std::uint64_t seed, std::uint64_t size, std::uint64_t position) {
  const PhiloxKey key =
      stream_key(seed, {.purpose = StreamPurpose::kDataOrder, .step = position / size});
  return Permutation(key, size)(position % size);
}

}  // namespace sbm::data
