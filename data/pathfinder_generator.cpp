#include "data/pathfinder_generator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <optional>
#include <utility>

#include "base/random_stream.h"
#include "data/claimed_space.h"
#include "data/generation_streams.h"
#include "data/image_layers.h"
#include "data/lanczos.h"
#include "data/ordered_blocks.h"
#include "data/pathfinder_paddle.h"
#include "data/pathfinder_tables.h"
#include "data/random_words.h"

namespace sbm::data {
namespace {

constexpr double kPi = std::numbers::pi;
// Attempts of the published program for one paddle and for one distractor.
constexpr int kPaddleAttempts = 3;
constexpr int kDistractorAttempts = 5;
// Distractors end when less than this share of the image is free.
constexpr double kLeastFreeShare = 0.01;
// Below this total weight a contour cannot go on.
constexpr double kLeastWeight = 1e-4;

double uniform(RandomWords& random) {
  const std::uint64_t high = random.next32() >> 5;
  const std::uint64_t low = random.next32() >> 6;
  return static_cast<double>((high << 26) | low) * 0x1p-53;
}

// A paddle in the image.
struct Placed {
  const Paddle* paddle = nullptr;
  PixelOffset at;
};

// A contour while it grows.
struct Contour {
  std::vector<Placed> paddles;
  PixelOffset pivot;
  double orientation = 0;
  PixelOffset begin;
  PixelOffset end;
};

}  // namespace

struct PathfinderGenerator::Tables {
  PathfinderGeometry geometry;
  int contour_length = 0;
  PathfinderDistractors distractors;
  std::vector<PathfinderTables> margins;
  LanczosShrinker shrinker;
};

namespace {

// The drawing of one image: contours, the space they claim, and what is to be seen.
class Drawing {
 public:
  Drawing(const PathfinderGeometry& geometry, const PathfinderTables& tables, RandomWords& random)
      : geometry_(geometry),
        tables_(tables),
        random_(random),
        space_(geometry.side, geometry.padding),
        layers_(geometry.side) {}

  // Draws the two contours; false when one of them could not go on, and nothing is drawn.
  bool add_contours(int length, std::array<Contour, 2>& contours) {
    ClaimedSpace space = space_;
    contours = {};
    if (!begin_pair(contours)) return false;
    for (int i = 1; i < length; ++i) {
      for (Contour& contour : contours) {
        if (!extend(contour, space)) return false;
      }
    }
    // As published, the last paddle of the other contour claims nothing.
    claim(contours[1].paddles.back(), space);
    space_ = std::move(space);
    for (const Contour& contour : contours) draw(contour, geometry_.contour_contrast);
    return true;
  }

  bool add_distractor(int length) {
    ClaimedSpace space = space_;
    Contour contour;
    if (!begin_distractor(contour)) return false;
    for (int i = 1; i < length; ++i) {
      if (!extend(contour, space)) return false;
    }
    claim(contour.paddles.back(), space);
    space_ = std::move(space);
    draw(contour, geometry_.distractor_contrast);
    return true;
  }

  void add_disc(PixelOffset center, const LanczosShrinker& shrinker) {
    layers_.add_disc(center, geometry_.marker_radius, shrinker);
  }

  [[nodiscard]] std::vector<std::uint8_t> pixels() const { return layers_.pixels(); }

 private:
  // Places the first paddle of a contour at `at`; false when its far parts leave the image.
  bool begin(Contour& contour, PixelOffset at, int degree) const {
    const double orientation = orientation_of(degree);
    const PixelOffset head = move_along(at, orientation, geometry_.paddle_length);
    const PixelOffset pivot =
        move_along(head, opposite(orientation), geometry_.paddle_length + tables_.margin);
    if (!space_.contains(head) || !space_.contains(pivot)) return false;
    contour.paddles = {{&first_paddle(degree).paddle, at}};
    contour.pivot = pivot;
    contour.orientation = orientation;
    contour.begin = at;
    contour.end = at;
    return true;
  }

  // Begins a contour somewhere in the free space, `border` pixels from the edges.
  bool begin_anywhere(Contour& contour, int border) const {
    for (int attempt = 0; attempt < kPaddleAttempts; ++attempt) {
      const auto degree = static_cast<int>(random_.below(kOrientations));
      const FirstPaddle& first = first_paddle(degree);
      if (!first.places) return false;
      const auto at = space_.draw_free(first.footprint, border, random_);
      if (!at) return false;
      if (begin(contour, *at, degree)) return true;
    }
    return false;
  }

  bool begin_distractor(Contour& contour) const {
    return space_.free_share() >= kLeastFreeShare && begin_anywhere(contour, 1);
  }

  bool begin_pair(std::array<Contour, 2>& contours) const {
    if (!begin_anywhere(contours[0], 2 * geometry_.seed_distance)) return false;
    const PixelOffset first = contours[0].begin;
    for (int attempt = 0; attempt < kPaddleAttempts; ++attempt) {
      const auto degree = static_cast<int>(random_.below(kOrientations));
      const double angle = random_.below(360) * kPi / 180;
      const PixelOffset at = {
          .y =
              static_cast<int>(std::nearbyint(first.y + geometry_.seed_distance * std::sin(angle))),
          .x = static_cast<int>(
              std::nearbyint(first.x + geometry_.seed_distance * std::cos(angle)))};
      if (begin(contours[1], at, degree)) return true;
    }
    return false;
  }

  // Adds a paddle to a contour, and claims the space of the one before it.
  bool extend(Contour& contour, ClaimedSpace& space) {
    const PixelOffset pivot = move_along(contour.pivot, contour.orientation,
                                         geometry_.paddle_length + 2 * tables_.margin);
    weights_.clear();
    double total = 0;
    for (const PaddleStep& step : tables_.steps) {
      const PixelOffset end = {.y = pivot.y + step.end.y, .x = pivot.x + step.end.x};
      double weight = 0;
      const double difference = std::abs(step.orientation - contour.orientation);
      const double turn = std::min(difference, 2 * kPi - difference) * geometry_.continuity;
      if (turn < kPi / 2 && space.contains(end)) {
        const double cosine = std::cos(turn);
        weight = (1 - space.largest_near(end, tables_.disc) / 255.0) * cosine * cosine;
      }
      total += weight;
      weights_.push_back(total);
    }
    if (total < kLeastWeight) return false;
    for (int attempt = 0; attempt < kPaddleAttempts; ++attempt) {
      const double drawn = uniform(random_) * total;
      const auto found = std::upper_bound(weights_.begin(), weights_.end(), drawn);
      const PaddleStep& step = tables_.steps[static_cast<std::size_t>(
          std::min(found, weights_.end() - 1) - weights_.begin())];
      const PixelOffset end = {.y = pivot.y + step.end.y, .x = pivot.x + step.end.x};
      if (!space.has_room(step.paddle, end)) continue;
      claim(contour.paddles.back(), space);
      contour.paddles.push_back({&step.paddle, end});
      contour.pivot = pivot;
      contour.orientation = step.orientation;
      contour.end = end;
      return true;
    }
    return false;
  }

  [[nodiscard]] const FirstPaddle& first_paddle(int degree) const {
    return tables_.first[static_cast<std::size_t>(degree)];
  }

  static void claim(const Placed& placed, ClaimedSpace& space) {
    space.claim(*placed.paddle, placed.at);
  }

  void draw(const Contour& contour, double contrast) {
    for (const Placed& placed : contour.paddles) {
      layers_.add_line(*placed.paddle, placed.at, contrast);
    }
  }

  const PathfinderGeometry& geometry_;
  const PathfinderTables& tables_;
  RandomWords& random_;
  ClaimedSpace space_;
  ImageLayers layers_;
  std::vector<double> weights_;
};

}  // namespace

PathfinderGenerator::PathfinderGenerator(int side, PathfinderLevel level) {
  const PathfinderGeometry& geometry = pathfinder_geometry(side);
  auto tables =
      std::make_unique<Tables>(Tables{.geometry = geometry,
                                      .contour_length = contour_length(level),
                                      .distractors = pathfinder_distractors(geometry, level),
                                      .margins = {},
                                      .shrinker = LanczosShrinker(side * kAntialias, side)});
  for (const int margin : geometry.margins) {
    tables->margins.push_back(make_pathfinder_tables(geometry, margin));
  }
  tables_ = std::move(tables);
}

PathfinderGenerator::~PathfinderGenerator() = default;

PathfinderImage PathfinderGenerator::draw(std::uint64_t seed, std::uint64_t index) const {
  RandomWords random(
      stream_key(seed, {.purpose = StreamPurpose::kDataGeneration,
                        .sample = index,
                        .site = static_cast<std::uint32_t>(GenerationSite::kPathfinder)}));
  PathfinderImage image;
  image.label = static_cast<std::int32_t>(random.below(2));
  const auto margins = static_cast<std::uint32_t>(tables_->margins.size());
  Drawing drawing(tables_->geometry, tables_->margins[random.below(margins)], random);
  std::array<Contour, 2> contours;
  while (!drawing.add_contours(tables_->contour_length, contours)) {
  }
  for (int i = 0; i < tables_->distractors.count; ++i) {
    for (int attempt = 0; attempt < kDistractorAttempts; ++attempt) {
      if (drawing.add_distractor(tables_->distractors.length)) break;
    }
  }
  const std::size_t marked = random.below(2);
  drawing.add_disc(contours[marked].begin, tables_->shrinker);
  drawing.add_disc(contours[image.label == 1 ? marked : 1 - marked].end, tables_->shrinker);
  image.pixels = drawing.pixels();
  return image;
}

void generate_pathfinder(
    int side, const PathfinderParameters& parameters, std::uint64_t seed, int threads,
    const std::function<void(std::size_t split, const PathfinderImage&)>& take) {
  check_pathfinder_parameters(parameters);
  const PathfinderGenerator generator(side, parameters.level);
  const std::array<std::uint64_t, 3> ends = {
      static_cast<std::uint64_t>(parameters.train_samples),
      static_cast<std::uint64_t>(parameters.train_samples + parameters.validation_samples),
      static_cast<std::uint64_t>(parameters.train_samples + parameters.validation_samples +
                                 parameters.test_samples)};
  if (ends[2] == 0) return;
  std::uint64_t index = 0;
  OrderedBlocks<PathfinderImage>::run(
      threads, [&](std::uint64_t image) { return generator.draw(seed, image); },
      [&](const PathfinderImage& image) {
        std::size_t split = 0;
        while (index >= ends[split]) ++split;
        take(split, image);
        return ++index < ends[2];
      });
}

}  // namespace sbm::data
