#pragma once

#include <cstdint>
#include <vector>

#include "data/lanczos.h"
#include "data/pathfinder_paddle.h"

namespace sbm::data {

/// A square image of layers that are joined by their maximum, black at first.
class ImageLayers {
 public:
  explicit ImageLayers(int side);

  /// Adds the line of a paddle that begins at `at`; white has the value `contrast`.
  void add_line(const Paddle& paddle, PixelOffset at, double contrast);

  /// Adds a white disc of value 1, drawn kAntialias times larger and shrunk by `shrinker`.
  void add_disc(PixelOffset center, double radius, const LanczosShrinker& shrinker);

  /// The image row by row, scaled from 0 at the least value to 255 at the greatest. There must be
  /// two different values.
  [[nodiscard]] std::vector<std::uint8_t> pixels() const;

 private:
  void raise(int y, int x, double value);

  int side_;
  std::vector<float> values_;
};

}  // namespace sbm::data
