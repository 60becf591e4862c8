#pragma once

#include <vector>

#include "data/pathfinder_paddle.h"
#include "data/pathfinder_parameters.h"

namespace sbm::data {

/// A place where a paddle may end, seen from its pivot, and the paddle that ends there.
struct PaddleStep {
  PixelOffset end;
  double orientation = 0;  ///< from the pivot to the end, radians
  Paddle paddle;           ///< drawn from the end back
};

/// The first paddle of a contour, at one orientation.
struct FirstPaddle {
  Paddle paddle;
  std::vector<PixelOffset> footprint;  ///< what must be free round its beginning
  bool places = false;                 ///< whether the published program finds any place for it
};

/// Everything that is drawn once and used for all images: it depends on the margin alone.
struct PathfinderTables {
  int margin = 0;
  std::vector<PixelOffset> disc;   ///< of the margin's radius
  std::vector<FirstPaddle> first;  ///< by degree of orientation
  std::vector<PaddleStep> steps;
};

/// Number of orientations of a first paddle.
constexpr int kOrientations = 360;

/// Orientation number `degree` in radians, from -pi on.
double orientation_of(int degree);

/// An orientation turned by half a circle.
double opposite(double orientation);

PathfinderTables make_pathfinder_tables(const PathfinderGeometry& geometry, int margin);

}  // namespace sbm::data
