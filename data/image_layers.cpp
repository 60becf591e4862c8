#include "data/image_layers.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "data/pathfinder_parameters.h"

namespace sbm::data {

ImageLayers::ImageLayers(int side)
    : side_(side), values_(static_cast<std::size_t>(side) * static_cast<std::size_t>(side)) {}

void ImageLayers::raise(int y, int x, double value) {
  float& raised = values_[pixel_index(y, x, side_)];
  raised = std::max(raised, static_cast<float>(value));
}

void ImageLayers::add_line(const Paddle& paddle, PixelOffset at, double contrast) {
  auto pixel = paddle.line.begin();
  for (int y = at.y - paddle.radius; y <= at.y + paddle.radius; ++y) {
    for (int x = at.x - paddle.radius; x <= at.x + paddle.radius; ++x, ++pixel) {
      if (*pixel == 0 || y < 0 || x < 0 || y >= side_ || x >= side_) continue;
      raise(y, x, *pixel / 255.0 * contrast);
    }
  }
}

void ImageLayers::add_disc(PixelOffset center, double radius, const LanczosShrinker& shrinker) {
  const int large_side = side_ * kAntialias;
  const double large_radius = radius * kAntialias;
  const int reach = static_cast<int>(large_radius);
  std::vector<std::uint8_t> large(static_cast<std::size_t>(large_side) *
                                  static_cast<std::size_t>(large_side));
  for (int y = -reach; y <= reach; ++y) {
    for (int x = -reach; x <= reach; ++x) {
      const int row = center.y * kAntialias + y;
      const int column = center.x * kAntialias + x;
      if (y * y + x * x > large_radius * large_radius) continue;
      if (row < 0 || column < 0 || row >= large_side || column >= large_side) continue;
      large[pixel_index(row, column, large_side)] = 255;
    }
  }
  // The filter reaches three pixels of the result.
  const int margin = static_cast<int>(radius) + 4;
  const PixelRegion region = {.top = std::max(0, center.y - margin),
                              .bottom = std::min(side_, center.y + margin + 1),
                              .left = std::max(0, center.x - margin),
                              .right = std::min(side_, center.x + margin + 1)};
  const std::vector<std::uint8_t> disc = shrinker.shrink(large, region);
  auto pixel = disc.begin();
  for (int y = region.top; y < region.bottom; ++y) {
    for (int x = region.left; x < region.right; ++x) raise(y, x, *pixel++ / 255.0);
  }
}

std::vector<std::uint8_t> ImageLayers::pixels() const {
  const auto [least, greatest] = std::minmax_element(values_.begin(), values_.end());
  const double scale = 255.0 / (*greatest - *least);
  std::vector<std::uint8_t> bytes;
  bytes.reserve(values_.size());
  for (const float value : values_) {
    bytes.push_back(static_cast<std::uint8_t>(
        std::floor(std::clamp((double{value} - *least) * scale, 0.0, 255.0) + 0.5)));
  }
  return bytes;
}

}  // namespace sbm::data
