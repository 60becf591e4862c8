#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sbm::data {

/// A position or displacement in pixels.
struct PixelOffset {
  int y = 0;
  int x = 0;
};

/// The place of a pixel in an image of `side` pixels a row.
[[nodiscard]] constexpr std::size_t pixel_index(int y, int x, int side) {
  return static_cast<std::size_t>(y) * static_cast<std::size_t>(side) + static_cast<std::size_t>(x);
}

/// `from` plus `distance` along `orientation` (radians, y downwards), rounded up in both
/// coordinates: the rounding of the published generator.
PixelOffset move_along(PixelOffset from, double orientation, double distance);

/// The displacements of the pixels of a disc: y^2 + x^2 <= radius^2.
std::vector<PixelOffset> disc_offsets(int radius);

/// One paddle as the published generator draws it: a line from the centre along its orientation,
/// and the space that it claims, both (2 radius + 1)^2 pixels of 0 to 255.
struct Paddle {
  int radius = 0;
  std::vector<std::uint8_t> line;
  std::vector<std::uint8_t> mask;
};

/// Draws a paddle of `length` and `thickness` pixels: the line kAntialias times larger in pure
/// black and white, the mask that line grown by a disc of the margin, both shrunk. Equal to what
/// Pillow (ImageDraw.line, Image.resize) and OpenCV (dilate) make of it, pixel for pixel.
Paddle draw_paddle(int length, double thickness, int margin, double orientation);

}  // namespace sbm::data
