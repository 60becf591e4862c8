#include "data/pathfinder_paddle.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdlib>

#include "data/lanczos.h"
#include "data/pathfinder_parameters.h"

namespace sbm::data {
namespace {

// To the nearest whole number; halves away from zero, and towards it.
int round_up(double value) {
  return static_cast<int>(value >= 0 ? std::floor(value + 0.5) : -std::floor(0.5 - value));
}
int round_down(double value) {
  return static_cast<int>(value >= 0 ? std::ceil(value - 0.5) : -std::ceil(-value - 0.5));
}

// A square of black pixels to draw white ones into.
class Canvas {
 public:
  explicit Canvas(int side)
      : side_(side), pixels_(static_cast<std::size_t>(side) * static_cast<std::size_t>(side)) {}

  void set(int y, int x) {
    if (y < 0 || x < 0 || y >= side_ || x >= side_) return;
    pixels_[pixel_index(y, x, side_)] = 255;
  }

  // Bresenham's line; where it is undecided it takes the step, as Pillow does.
  void draw_thin_line(PixelOffset from, PixelOffset to) {
    const int dy = std::abs(to.y - from.y);
    const int dx = std::abs(to.x - from.x);
    const int step_y = to.y < from.y ? -1 : 1;
    const int step_x = to.x < from.x ? -1 : 1;
    const bool steep = dy > dx;
    const int major = steep ? dy : dx;
    const int minor = steep ? dx : dy;
    int error = 2 * minor - major;
    PixelOffset at = from;
    for (int i = 0; i <= major; ++i) {
      set(at.y, at.x);
      if (error >= 0 && minor > 0) {
        (steep ? at.x : at.y) += steep ? step_x : step_y;
        error -= 2 * major;
      }
      (steep ? at.y : at.x) += steep ? step_y : step_x;
      error += 2 * minor;
    }
  }

  // The rectangle of `width` pixels round the line, with corners rounded to whole pixels as Pillow
  // rounds them: one side gets the odd pixel of an even width. Row by row, from the left edge to
  // the right one, both rounded to the nearest pixel, halves inwards.
  void draw_wide_line(PixelOffset from, PixelOffset to, int width) {
    const int dy = to.y - from.y;
    const int dx = to.x - from.x;
    const double length = std::hypot(dy, dx);
    const double low = round_down((width - 1) / 2.0) / length;
    const double high = round_up((width - 1) / 2.0) / length;
    const PixelOffset first = {.y = round_up(high * dx), .x = -round_down(low * dy)};
    const PixelOffset second = {.y = -round_up(low * dx), .x = round_down(high * dy)};
    const std::array<PixelOffset, 4> corners = {{{from.y + first.y, from.x + first.x},
                                                 {to.y + first.y, to.x + first.x},
                                                 {to.y + second.y, to.x + second.x},
                                                 {from.y + second.y, from.x + second.x}}};
    for (int y = 0; y < side_; ++y) {
      double left = side_;
      double right = -1;
      for (std::size_t i = 0; i < corners.size(); ++i) {
        const PixelOffset& a = corners[i];
        const PixelOffset& b = corners[(i + 1) % corners.size()];
        if (y < std::min(a.y, b.y) || y > std::max(a.y, b.y)) continue;
        const double slope = a.y == b.y ? 0.0 : static_cast<double>(b.x - a.x) / (b.y - a.y);
        const double x = a.x + (y - a.y) * slope;
        const double other = a.y == b.y ? b.x : x;
        left = std::min({left, x, other});
        right = std::max({right, x, other});
      }
      for (int x = round_up(left); x <= round_down(right); ++x) set(y, x);
    }
  }

  [[nodiscard]] Canvas grown(const std::vector<PixelOffset>& disc) const {
    Canvas result(side_);
    for (int y = 0; y < side_; ++y) {
      for (int x = 0; x < side_; ++x) {
        if (pixels_[pixel_index(y, x, side_)] == 0) continue;
        for (const PixelOffset& offset : disc) result.set(y + offset.y, x + offset.x);
      }
    }
    return result;
  }

  [[nodiscard]] const std::vector<std::uint8_t>& pixels() const { return pixels_; }

 private:
  int side_;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace

PixelOffset move_along(PixelOffset from, double orientation, double distance) {
  return {.y = static_cast<int>(std::ceil(from.y + distance * std::sin(orientation))),
          .x = static_cast<int>(std::ceil(from.x + distance * std::cos(orientation)))};
}

std::vector<PixelOffset> disc_offsets(int radius) {
  std::vector<PixelOffset> offsets;
  for (int y = -radius; y <= radius; ++y) {
    for (int x = -radius; x <= radius; ++x) {
      if (y * y + x * x <= radius * radius) offsets.push_back({.y = y, .x = x});
    }
  }
  return offsets;
}

Paddle draw_paddle(int length, double thickness, int margin, double orientation) {
  Paddle paddle;
  paddle.radius = length + static_cast<int>(std::ceil(thickness)) + margin;
  const int side = 2 * paddle.radius + 1;
  const int large_side = 2 * paddle.radius * kAntialias + 1;
  const PixelOffset center = {.y = paddle.radius * kAntialias, .x = paddle.radius * kAntialias};
  const PixelOffset end = move_along(center, orientation, length * kAntialias);
  const int width = static_cast<int>(std::lround(thickness * kAntialias));
  Canvas line(large_side);
  if (width <= 1) {
    line.draw_thin_line(center, end);
  } else {
    line.draw_wide_line(center, end, width);
  }
  const Canvas mask = line.grown(disc_offsets(margin * kAntialias));
  const LanczosShrinker shrinker(large_side, side);
  paddle.line = shrinker.shrink(line.pixels());
  paddle.mask = shrinker.shrink(mask.pixels());
  return paddle;
}

}  // namespace sbm::data
