#include "data/claimed_space.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace sbm::data {
namespace {

// 0.3 of 255, rounded down: claims above it are not free.
constexpr int kFree = 76;
// 1.8 times 255.
constexpr int kOverlap = 459;

using BitRow = ClaimedSpace::BitRow;
constexpr int kWords = ClaimedSpace::kWords;

// Joins `row` shifted so that bit x of the result is bit x + by of the row.
void join_shifted(BitRow& result, const BitRow& row, int by) {
  const int words = (by < 0 ? -by : by) / 64;
  const int bits = (by < 0 ? -by : by) % 64;
  for (int word = 0; word < kWords; ++word) {
    const int from = by >= 0 ? word + words : word - words;
    const int beside = by >= 0 ? from + 1 : from - 1;
    std::uint64_t value = 0;
    if (from >= 0 && from < kWords) {
      const std::uint64_t source = row[static_cast<std::size_t>(from)];
      value = by >= 0 ? source >> bits : source << bits;
    }
    if (bits != 0 && beside >= 0 && beside < kWords) {
      const std::uint64_t source = row[static_cast<std::size_t>(beside)];
      value |= by >= 0 ? source << (64 - bits) : source >> (64 - bits);
    }
    result[static_cast<std::size_t>(word)] |= value;
  }
}

// The bits of the pixels of a row.
BitRow image_row(int side) {
  BitRow row{};
  for (int word = 0; word < kWords; ++word) {
    const int pixels = std::clamp(side - 64 * word, 0, 64);
    row[static_cast<std::size_t>(word)] =
        pixels == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << pixels) - 1;
  }
  return row;
}

bool is_full(const BitRow& row) {
  std::uint64_t all = ~std::uint64_t{0};
  for (const std::uint64_t bits : row) all &= bits;
  return all == ~std::uint64_t{0};
}

// The rectangle of a paddle's pixels that lies inside the image, as [low, high) of y - at.y.
struct Clip {
  int low;
  int high;
};
Clip clip(int at, int radius, int side) {
  return {std::max(-radius, -at), std::min(radius + 1, side - at)};
}

}  // namespace

ClaimedSpace::ClaimedSpace(int side, int padding)
    : side_(side), claims_(static_cast<std::size_t>(side) * static_cast<std::size_t>(side)) {
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      if (std::min({y, x, side - 1 - y, side - 1 - x}) < padding) {
        claims_[pixel_index(y, x, side)] = 255;
      }
    }
  }
}

void ClaimedSpace::claim(const Paddle& paddle, PixelOffset at) {
  const int width = 2 * paddle.radius + 1;
  const Clip rows = clip(at.y, paddle.radius, side_);
  const Clip columns = clip(at.x, paddle.radius, side_);
  for (int y = rows.low; y < rows.high; ++y) {
    const std::uint8_t* mask = paddle.mask.data() + (y + paddle.radius) * width + paddle.radius;
    std::uint8_t* claims = claims_.data() + (at.y + y) * side_ + at.x;
    for (int x = columns.low; x < columns.high; ++x) claims[x] = std::max(claims[x], mask[x]);
  }
}

bool ClaimedSpace::has_room(const Paddle& paddle, PixelOffset at) const {
  const int width = 2 * paddle.radius + 1;
  const Clip rows = clip(at.y, paddle.radius, side_);
  const Clip columns = clip(at.x, paddle.radius, side_);
  for (int y = rows.low; y < rows.high; ++y) {
    const std::uint8_t* mask = paddle.mask.data() + (y + paddle.radius) * width + paddle.radius;
    const std::uint8_t* claims = claims_.data() + (at.y + y) * side_ + at.x;
    for (int x = columns.low; x < columns.high; ++x) {
      if (int{claims[x]} + int{mask[x]} >= kOverlap) return false;
    }
  }
  return true;
}

int ClaimedSpace::largest_near(PixelOffset at, const std::vector<PixelOffset>& disc) const {
  int largest = 0;
  for (const PixelOffset& offset : disc) {
    const PixelOffset near = {.y = at.y + offset.y, .x = at.x + offset.x};
    if (contains(near)) largest = std::max<int>(largest, claim_at(near.y, near.x));
  }
  return largest;
}

double ClaimedSpace::free_share() const {
  const auto free = std::count_if(claims_.begin(), claims_.end(),
                                  [](std::uint8_t claim) { return claim <= kFree; });
  return static_cast<double>(free) / static_cast<double>(claims_.size());
}

std::array<ClaimedSpace::BitRow, ClaimedSpace::kMaxSide> ClaimedSpace::taken_rows(
    int border) const {
  std::array<BitRow, kMaxSide> taken{};
  for (int y = 0; y < side_; ++y) {
    BitRow& row = taken[static_cast<std::size_t>(y)];
    if (std::min(y, side_ - 1 - y) < border) {
      row = image_row(side_);
      continue;
    }
    const std::uint8_t* claims = &claim_at(y, 0);
    for (int x = 0; x < border; ++x) {
      for (const int edge : {x, side_ - 1 - x}) {
        row[static_cast<std::size_t>(edge / 64)] |= std::uint64_t{1} << (edge % 64);
      }
    }
    for (int x = border; x < side_ - border; ++x) {
      row[static_cast<std::size_t>(x / 64)] |= std::uint64_t{claims[x] > kFree} << (x % 64);
    }
  }
  return taken;
}

std::optional<PixelOffset> ClaimedSpace::draw_free(const std::vector<PixelOffset>& offsets,
                                                   int border, RandomWords& random) const {
  const std::array<BitRow, kMaxSide> taken = taken_rows(border);
  std::array<BitRow, kMaxSide> blocked{};
  std::uint32_t count = 0;
  for (int y = 0; y < side_; ++y) {
    BitRow& row = blocked[static_cast<std::size_t>(y)];
    // What lies beyond the image is not free either.
    row = image_row(side_);
    for (std::uint64_t& bits : row) bits = ~bits;
    for (const PixelOffset& offset : offsets) {
      const int from = y + offset.y;
      if (from < 0 || from >= side_) continue;
      join_shifted(row, taken[static_cast<std::size_t>(from)], offset.x);
      if (is_full(row)) break;
    }
    for (const std::uint64_t bits : row) count += static_cast<std::uint32_t>(std::popcount(~bits));
  }
  if (count == 0) return std::nullopt;
  std::uint32_t chosen = random.below(count);
  for (int y = 0; y < side_; ++y) {
    for (int word = 0; word < kWords; ++word) {
      std::uint64_t free = ~blocked[static_cast<std::size_t>(y)][static_cast<std::size_t>(word)];
      const auto here = static_cast<std::uint32_t>(std::popcount(free));
      if (chosen >= here) {
        chosen -= here;
        continue;
      }
      for (; chosen > 0; --chosen) free &= free - 1;
      return PixelOffset{.y = y, .x = 64 * word + std::countr_zero(free)};
    }
  }
  return std::nullopt;
}

}  // namespace sbm::data
