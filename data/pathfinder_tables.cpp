#include "data/pathfinder_tables.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <set>
#include <utility>

namespace sbm::data {
namespace {

constexpr double kPi = std::numbers::pi;

// The pixels of the circle where paddles end. The published program walks along the circle in steps
// of one pixel and rounds towards zero, which inside the image is downwards.
std::vector<PaddleStep> make_steps(const PathfinderGeometry& geometry, int margin) {
  const double radius = geometry.paddle_length + margin;
  const double turn = 360.0 / (2 * radius * kPi);
  // Away from zero, where adding the pivot does not change how a tiny sine is rounded.
  constexpr int kFar = 64;
  std::set<std::pair<int, int>> ends;
  for (int i = 0; i * turn < 360; ++i) {
    const double angle = i * turn * kPi / 180;
    ends.emplace(static_cast<int>(std::floor(kFar + radius * std::sin(angle)) - kFar),
                 static_cast<int>(std::floor(kFar + radius * std::cos(angle)) - kFar));
  }
  std::vector<PaddleStep> steps;
  for (const auto& [y, x] : ends) {
    PaddleStep step{.end = {.y = y, .x = x}, .orientation = std::atan2(y, x), .paddle = {}};
    step.paddle = draw_paddle(geometry.paddle_length, geometry.paddle_thickness, margin,
                              opposite(step.orientation));
    steps.push_back(std::move(step));
  }
  return steps;
}

// The pixels that must be free round the beginning of a first paddle: where its mask is complete.
// Off by one in both directions, as the published program centres it.
std::vector<PixelOffset> footprint(const Paddle& paddle, int reach) {
  std::vector<PixelOffset> offsets;
  const int width = 2 * paddle.radius + 1;
  for (int y = -reach; y <= reach; ++y) {
    for (int x = -reach; x <= reach; ++x) {
      const std::size_t at = pixel_index(y - 1 + paddle.radius, x - 1 + paddle.radius, width);
      if (paddle.mask[at] == 255) offsets.push_back({.y = y, .x = x});
    }
  }
  return offsets;
}

// Whether the footprint reaches back into the image from every pixel of it. Where it does not, the
// dilation of the published program has no value, and the program takes the whole image for full: a
// contour begins at such an orientation only as the second of a pair.
bool reaches_from_everywhere(const std::vector<PixelOffset>& footprint, int side) {
  const auto reaches = [&](int y, int x) {
    return std::any_of(footprint.begin(), footprint.end(), [&](const PixelOffset& offset) {
      return y + offset.y >= 0 && y + offset.y < side && x + offset.x >= 0 && x + offset.x < side;
    });
  };
  for (int i = 0; i < side; ++i) {
    if (!reaches(i, 0) || !reaches(i, side - 1) || !reaches(0, i) || !reaches(side - 1, i)) {
      return false;
    }
  }
  return true;
}

}  // namespace

double orientation_of(int degree) { return (degree - 180) * kPi / 180; }

double opposite(double orientation) {
  return orientation < 0 ? orientation + kPi : orientation - kPi;
}

PathfinderTables make_pathfinder_tables(const PathfinderGeometry& geometry, int margin) {
  PathfinderTables tables{.margin = margin,
                          .disc = disc_offsets(margin),
                          .first = {},
                          .steps = make_steps(geometry, margin)};
  for (int degree = 0; degree < kOrientations; ++degree) {
    FirstPaddle first;
    first.paddle = draw_paddle(geometry.paddle_length, geometry.paddle_thickness, margin,
                               orientation_of(degree));
    first.footprint = footprint(first.paddle, geometry.paddle_length + margin);
    first.places = reaches_from_everywhere(first.footprint, geometry.side);
    tables.first.push_back(std::move(first));
  }
  return tables;
}

}  // namespace sbm::data
