#include "data/pathfinder_parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace sbm::data {
namespace {

constexpr std::int64_t kMaxSamples = std::int64_t{1} << 40;

}  // namespace

int contour_length(PathfinderLevel level) {
  switch (level) {
    case PathfinderLevel::kEasy:
      return 6;
    case PathfinderLevel::kIntermediate:
      return 9;
    case PathfinderLevel::kHard:
      return 14;
  }
  throw InternalError("no such level of Pathfinder");
}

std::string pathfinder_folder(PathfinderLevel level) {
  return level == PathfinderLevel::kEasy
             ? "curv_baseline"
             : fmt::format("curv_contour_length_{}", contour_length(level));
}

const PathfinderGeometry& pathfinder_geometry(int side) {
  // The contrasts of 32 pixels are 0.75 (paddle) times 2 (contour), and 2 for distractors; all
  // other resolutions have 1 times the contour's.
  static const std::array<PathfinderGeometry, 4> kGeometries = {{
      {.side = 32,
       .padding = 1,
       .seed_distance = 7,
       .marker_radius = 1.5,
       .paddle_length = 2,
       .paddle_thickness = 0.5,
       .margins = {1},
       .continuity = 1.0,
       .distractor_paddles = 20,
       .contour_contrast = 1.5,
       .distractor_contrast = 2.0},
      {.side = 64,
       .padding = 1,
       .seed_distance = 12,
       .marker_radius = 2.5,
       .paddle_length = 5,
       .paddle_thickness = 1.0,
       .margins = {1},
       .continuity = 1.8,
       .distractor_paddles = 22,
       .contour_contrast = 0.8,
       .distractor_contrast = 0.8},
      {.side = 128,
       .padding = 1,
       .seed_distance = 20,
       .marker_radius = 3,
       .paddle_length = 5,
       .paddle_thickness = 1.5,
       .margins = {2, 3},
       .continuity = 1.8,
       .distractor_paddles = 35,
       .contour_contrast = 0.9,
       .distractor_contrast = 0.9},
      {.side = 256,
       .padding = 22,
       .seed_distance = 27,
       .marker_radius = 5,
       .paddle_length = 5,
       .paddle_thickness = 2.0,
       .margins = {3},
       .continuity = 1.8,
       .distractor_paddles = 30,
       .contour_contrast = 1.0,
       .distractor_contrast = 1.0},
  }};
  const auto* found = std::find_if(kGeometries.begin(), kGeometries.end(),
                                   [side](const auto& each) { return each.side == side; });
  if (found == kGeometries.end()) {
    throw ConfigError(
        fmt::format("Pathfinder: expected a side of 32, 64, 128 or 256 pixels, found {}", side));
  }
  return *found;
}

PathfinderDistractors pathfinder_distractors(const PathfinderGeometry& geometry,
                                             PathfinderLevel level) {
  const int length = contour_length(level) / 3;
  return {.count = geometry.distractor_paddles / length, .length = length};
}

void check_pathfinder_parameters(const PathfinderParameters& parameters) {
  const auto check = [](const char* name, std::int64_t value) {
    if (value < 0 || value > kMaxSamples) {
      throw ConfigError(
          fmt::format("data.pathfinder.{}: expected 0 to {}, found {}", name, kMaxSamples, value));
    }
  };
  check("train_samples", parameters.train_samples);
  check("validation_samples", parameters.validation_samples);
  check("test_samples", parameters.test_samples);
}

}  // namespace sbm::data
