#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sbm::data {

/// How long the contour is that must be followed: the three published levels.
enum class PathfinderLevel { kEasy, kIntermediate, kHard };

/// Paddles in a contour: 6, 9, 14.
int contour_length(PathfinderLevel level);

/// The published folder of the level: "curv_baseline", "curv_contour_length_9",
/// "curv_contour_length_14".
std::string pathfinder_folder(PathfinderLevel level);

/// Numbers of a generated data set; the defaults are the published sizes, 200,000 images in
/// 80/10/10.
struct PathfinderParameters {
  PathfinderLevel level = PathfinderLevel::kHard;
  std::int64_t train_samples = 160000;
  std::int64_t validation_samples = 20000;
  std::int64_t test_samples = 20000;
};

/// Parameters of the published generator for one resolution, as the doc strings of
/// lra_benchmarks/data/pathfinder.py give them; what these leave open has the generator's default.
/// Lengths in pixels.
struct PathfinderGeometry {
  int side = 0;                 ///< the image is side x side
  int padding = 0;              ///< width of the border that stays free
  int seed_distance = 0;        ///< between the beginnings of the two contours
  double marker_radius = 0;     ///< of the discs that mark two ends
  int paddle_length = 0;        ///< a contour is a row of paddles, short lines
  double paddle_thickness = 0;  ///< times kAntialias it is whole
  std::vector<int> margins;     ///< free space round a paddle; one is drawn for each image
  double continuity = 0;        ///< how strongly a contour keeps its direction
  int distractor_paddles = 0;   ///< of all distractors together
  double contour_contrast = 0;
  double distractor_contrast = 0;
};

/// Paddles and markers are drawn so many times larger and then shrunk.
constexpr int kAntialias = 2;

/// `side` is 32, 64, 128 or 256; throws ConfigError otherwise.
const PathfinderGeometry& pathfinder_geometry(int side);

/// Distractors have a third of the contour's paddles each, and distractor_paddles together, both
/// rounded down.
struct PathfinderDistractors {
  int count = 0;
  int length = 0;
};
PathfinderDistractors pathfinder_distractors(const PathfinderGeometry& geometry,
                                             PathfinderLevel level);

/// Throws ConfigError unless the numbers of samples are usable.
void check_pathfinder_parameters(const PathfinderParameters& parameters);

}  // namespace sbm::data
