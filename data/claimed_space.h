#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "data/pathfinder_paddle.h"
#include "data/random_words.h"

namespace sbm::data {

/// Which pixels of an image paddles have claimed, and how much (0 to 255).
class ClaimedSpace {
 public:
  static constexpr int kMaxSide = 256;
  static constexpr int kWords = kMaxSide / 64;
  using BitRow = std::array<std::uint64_t, kWords>;  ///< a row of pixels, from the lowest bit

  /// side <= kMaxSide; a border of `padding` pixels is claimed from the start.
  ClaimedSpace(int side, int padding);

  [[nodiscard]] int side() const { return side_; }
  [[nodiscard]] bool contains(PixelOffset at) const {
    return at.y >= 0 && at.x >= 0 && at.y < side_ && at.x < side_;
  }

  /// Raises the claims to the mask of a paddle that begins at `at`.
  void claim(const Paddle& paddle, PixelOffset at);

  /// Whether the mask of a paddle at `at` and the claims together stay below 1.8 (of 1 each)
  /// everywhere.
  [[nodiscard]] bool has_room(const Paddle& paddle, PixelOffset at) const;

  /// The largest claim among `at` and `disc` round it.
  [[nodiscard]] int largest_near(PixelOffset at, const std::vector<PixelOffset>& disc) const;

  /// The share of pixels whose claim is at most 0.3.
  [[nodiscard]] double free_share() const;

  /// A uniformly drawn pixel from which all of `offsets` lead to claims of at most 0.3, leaving the
  /// image or not; pixels less than `border` from an edge count as claimed. Nothing when there is
  /// none.
  [[nodiscard]] std::optional<PixelOffset> draw_free(const std::vector<PixelOffset>& offsets,
                                                     int border, RandomWords& random) const;

 private:
  // By row: which pixels are less than `border` from an edge or claimed by more than 0.3.
  [[nodiscard]] std::array<BitRow, kMaxSide> taken_rows(int border) const;

  [[nodiscard]] const std::uint8_t& claim_at(int y, int x) const {
    return claims_[pixel_index(y, x, side_)];
  }

  int side_;
  std::vector<std::uint8_t> claims_;
};

}  // namespace sbm::data
