#include "data/pathfinder_generator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <numbers>
#include <optional>
#include <utility>

#include "base/random_stream.h"
#include "data/claimed_space.h"
#include "data/generation_streams.h"
#include "data/lanczos.h"
#include "data/ordered_blocks.h"
#include "data/pathfinder_paddle.h"
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

double opposite(double orientation) {
  return orientation < 0 ? orientation + kPi : orientation - kPi;
}

double uniform(RandomWords& random) {
  const std::uint64_t high = random.next32() >> 5;
  const std::uint64_t low = random.next32() >> 6;
  return static_cast<double>((high << 26) | low) * 0x1p-53;
}

// A place where a paddle may end, seen from its pivot, and the paddle that ends there.
struct Step {
  PixelOffset end;
  double orientation = 0;
  Paddle paddle;
};

// The first paddle of a contour, at one orientation.
struct FirstPaddle {
  Paddle paddle;
  std::vector<PixelOffset> footprint;  ///< what must be free round its beginning
  bool places = false;                 ///< whether the published program finds any place for it
};

// Everything that depends on the margin alone.
struct MarginTables {
  int margin = 0;
  std::vector<PixelOffset> disc;
  std::vector<FirstPaddle> first;  ///< by degree of orientation, from -180
  std::vector<Step> steps;
};

double degrees(int index) { return (index - 180) * kPi / 180; }

// The pixels of the circle where paddles end. The published program walks along the circle in steps
// of one pixel and rounds towards zero, which inside the image is downwards.
std::vector<Step> make_steps(const PathfinderGeometry& geometry, int margin) {
  const double radius = geometry.paddle_length + margin;
  const double turn = 360.0 / (2 * radius * kPi);
  // Away from zero, where adding the pivot does not change how a tiny sine is rounded.
  constexpr int kFar = 64;
  std::map<std::pair<int, int>, int> ends;
  for (int i = 0; i * turn < 360; ++i) {
    const double angle = i * turn * kPi / 180;
    ends[{static_cast<int>(std::floor(kFar + radius * std::sin(angle)) - kFar),
          static_cast<int>(std::floor(kFar + radius * std::cos(angle)) - kFar)}] = i;
  }
  std::vector<Step> steps;
  for (const auto& [end, sample] : ends) {
    Step step{.end = {.y = end.first, .x = end.second},
              .orientation = std::atan2(end.first, end.second),
              .paddle = {}};
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

MarginTables make_tables(const PathfinderGeometry& geometry, int margin) {
  MarginTables tables{.margin = margin,
                      .disc = disc_offsets(margin),
                      .first = {},
                      .steps = make_steps(geometry, margin)};
  for (int degree = 0; degree < 360; ++degree) {
    FirstPaddle first;
    first.paddle =
        draw_paddle(geometry.paddle_length, geometry.paddle_thickness, margin, degrees(degree));
    first.footprint = footprint(first.paddle, geometry.paddle_length + margin);
    first.places = reaches_from_everywhere(first.footprint, geometry.side);
    tables.first.push_back(std::move(first));
  }
  return tables;
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
  std::vector<MarginTables> margins;
  LanczosShrinker shrinker;
};

namespace {

// The drawing of one image: claimed space, and layers joined by their maximum.
class Drawing {
 public:
  Drawing(const PathfinderGeometry& geometry, const MarginTables& tables, RandomWords& random)
      : geometry_(geometry),
        tables_(tables),
        random_(random),
        space_(geometry.side, geometry.padding),
        layers_(static_cast<std::size_t>(geometry.side) * static_cast<std::size_t>(geometry.side)) {
  }

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
    const int large_side = geometry_.side * kAntialias;
    const double radius = geometry_.marker_radius * kAntialias;
    const int reach = static_cast<int>(radius);
    std::vector<std::uint8_t> large(static_cast<std::size_t>(large_side) *
                                    static_cast<std::size_t>(large_side));
    for (int y = -reach; y <= reach; ++y) {
      for (int x = -reach; x <= reach; ++x) {
        const int row = center.y * kAntialias + y;
        const int column = center.x * kAntialias + x;
        if (y * y + x * x > radius * radius) continue;
        if (row < 0 || column < 0 || row >= large_side || column >= large_side) continue;
        large[pixel_index(row, column, large_side)] = 255;
      }
    }
    // The filter reaches three pixels of the result.
    const int margin = static_cast<int>(geometry_.marker_radius) + 4;
    const PixelRegion region = {.top = std::max(0, center.y - margin),
                                .bottom = std::min(geometry_.side, center.y + margin + 1),
                                .left = std::max(0, center.x - margin),
                                .right = std::min(geometry_.side, center.x + margin + 1)};
    const std::vector<std::uint8_t> disc = shrinker.shrink(large, region);
    auto pixel = disc.begin();
    for (int y = region.top; y < region.bottom; ++y) {
      for (int x = region.left; x < region.right; ++x) raise(y, x, *pixel++ / 255.0);
    }
  }

  // Scales the layers to bytes, from black at the least value to 255 at the greatest.
  [[nodiscard]] std::vector<std::uint8_t> pixels() const {
    const auto [least, greatest] = std::minmax_element(layers_.begin(), layers_.end());
    const double scale = 255.0 / (*greatest - *least);
    std::vector<std::uint8_t> bytes;
    bytes.reserve(layers_.size());
    for (const float value : layers_) {
      bytes.push_back(static_cast<std::uint8_t>(
          std::floor(std::clamp((double{value} - *least) * scale, 0.0, 255.0) + 0.5)));
    }
    return bytes;
  }

 private:
  // Places the first paddle of a contour at `at`; false when its far parts leave the image.
  bool begin(Contour& contour, PixelOffset at, int degree) const {
    const double orientation = degrees(degree);
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
      const auto degree = static_cast<int>(random_.below(360));
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
      const auto degree = static_cast<int>(random_.below(360));
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
    for (const Step& step : tables_.steps) {
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
      const Step& step = tables_.steps[static_cast<std::size_t>(
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
      const int radius = placed.paddle->radius;
      auto pixel = placed.paddle->line.begin();
      for (int y = placed.at.y - radius; y <= placed.at.y + radius; ++y) {
        for (int x = placed.at.x - radius; x <= placed.at.x + radius; ++x, ++pixel) {
          if (*pixel > 0 && space_.contains({.y = y, .x = x}))
            raise(y, x, *pixel / 255.0 * contrast);
        }
      }
    }
  }

  void raise(int y, int x, double value) {
    float& layer = layers_[pixel_index(y, x, geometry_.side)];
    layer = std::max(layer, static_cast<float>(value));
  }

  const PathfinderGeometry& geometry_;
  const MarginTables& tables_;
  RandomWords& random_;
  ClaimedSpace space_;
  std::vector<float> layers_;
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
    tables->margins.push_back(make_tables(geometry, margin));
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
