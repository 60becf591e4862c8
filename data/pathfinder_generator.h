#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/pathfinder_parameters.h"

namespace sbm::data {

/// One image, row by row, 0 to 255; black is background. label 1: the two discs mark the ends of
/// one contour; 0: of two.
struct PathfinderImage {
  std::vector<std::uint8_t> pixels;
  std::int32_t label = 0;
};

/// Draws images by the published algorithm (drewlinsley/pathfinder, snakes2.py):
///
///   1. label and margin are drawn. Two contours begin seed_distance apart and grow in turns,
///   paddle
///      by paddle. The next paddle turns round a pivot; its end is one of the pixels of a circle
///      round it, with weight (1 - claimed) cos(min(continuity * turn, pi/2))^2, and is refused
///      when its space overlaps claimed space. When a contour cannot go on, both start over.
///   2. Distractors, shorter contours, are added where space is left; some may fail.
///   3. Discs mark the beginning of one contour and the end of the same or of the other one.
///   4. Layers are joined by their maximum, and the result scaled so that black is 0 and the
///      brightest value 255. At 32 pixels distractors are brightest, contours have three quarters
///      and discs half of that; at the other resolutions nothing is brighter than the discs.
///
/// Later versions of the published program lost the scaling of step 4 and of every layer; this is
/// the algorithm as it was when the benchmark was made. It is reproduced with its oddities: most
/// orientations never begin a contour (reaches_from_everywhere() in pathfinder_tables.cpp says
/// why), the last paddle of the first contour claims no space, and positions are rounded upwards.
class PathfinderGenerator {
 public:
  /// `side` is 32, 64, 128 or 256. Throws ConfigError.
  PathfinderGenerator(int side, PathfinderLevel level);
  ~PathfinderGenerator();
  PathfinderGenerator(const PathfinderGenerator&) = delete;
  PathfinderGenerator& operator=(const PathfinderGenerator&) = delete;

  /// Image `index` of the seed: depends on nothing else. Any number of threads may draw at once.
  [[nodiscard]] PathfinderImage draw(std::uint64_t seed, std::uint64_t index) const;

 private:
  struct Tables;
  std::unique_ptr<const Tables> tables_;
};

/// Draws all images of train, validation and test (splits 0, 1, 2), in this order, and hands them
/// to `take` in the calling thread. The images do not depend on `threads` (>= 1).
/// Throws ConfigError on unusable parameters; what `take` throws ends the work.
void generate_pathfinder(
    int side, const PathfinderParameters& parameters, std::uint64_t seed, int threads,
    const std::function<void(std::size_t split, const PathfinderImage&)>& take);

}  // namespace sbm::data
