#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sbm::data {

/// A rectangle of pixels [top, bottom) x [left, right).
struct PixelRegion {
  int top = 0;
  int bottom = 0;
  int left = 0;
  int right = 0;
};

/// Shrinks square grey images by a Lanczos filter of three lobes exactly as Pillow does
/// (Image.resize with LANCZOS on mode "L"): 22-bit weights, rows first, rounded to 8 bits in
/// between. The published Pathfinder images are drawn with it.
class LanczosShrinker {
 public:
  /// From `from` x `from` to `to` x `to` pixels, from >= to >= 1.
  LanczosShrinker(int from, int to);

  /// `image` has from * from pixels, row by row; the result to * to.
  [[nodiscard]] std::vector<std::uint8_t> shrink(std::span<const std::uint8_t> image) const;

  /// The pixels of shrink(image) that lie in `region`, row by row.
  [[nodiscard]] std::vector<std::uint8_t> shrink(std::span<const std::uint8_t> image,
                                                 const PixelRegion& region) const;

 private:
  struct Taps {
    int first = 0;
    std::vector<std::int32_t> weights;
  };

  int from_;
  int to_;
  std::vector<Taps> taps_;  ///< by pixel of the result
};

}  // namespace sbm::data
