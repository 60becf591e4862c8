#include "data/pathfinder_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "base/content_hash.h"
#include "base/error.h"
#include "data/claimed_space.h"
#include "data/lanczos.h"
#include "data/pathfinder_paddle.h"

namespace sbm::data {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Lanczos, KeepsAConstantAndShrinksAStep) {
  const LanczosShrinker shrinker(17, 9);
  EXPECT_EQ(shrinker.shrink(std::vector<std::uint8_t>(17 * 17, 93)),
            std::vector<std::uint8_t>(81, 93));
  // Values of Pillow 9.4 and 13: Image.resize((4, 4), LANCZOS) of a step from 0 to 255 of 8 pixels.
  std::vector<std::uint8_t> step(64);
  for (std::size_t i = 0; i < 64; ++i) step[i] = i % 8 < 3 ? 0 : 255;
  const std::vector<std::uint8_t> small = LanczosShrinker(8, 4).shrink(step);
  EXPECT_THAT(std::span(small).first(4), ::testing::ElementsAre(0, 125, 255, 250));
}

TEST(Lanczos, ARegionIsACutOfTheWhole) {
  std::vector<std::uint8_t> image(64 * 64);
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<std::uint8_t>(i * i % 251);
  const LanczosShrinker shrinker(64, 32);
  const std::vector<std::uint8_t> whole = shrinker.shrink(image);
  const PixelRegion region = {.top = 0, .bottom = 7, .left = 20, .right = 32};
  const std::vector<std::uint8_t> cut = shrinker.shrink(image, region);
  ASSERT_EQ(cut.size(), 7U * 12U);
  for (int y = 0; y < 7; ++y) {
    for (int x = 0; x < 12; ++x) {
      EXPECT_EQ(cut[static_cast<std::size_t>(y * 12 + x)],
                whole[static_cast<std::size_t>(y * 32 + 20 + x)]);
    }
  }
  EXPECT_TRUE(shrinker.shrink(image, {.top = 3, .bottom = 3, .left = 0, .right = 4}).empty());
}

// The hash was taken when all these paddles had been compared with Pillow (ImageDraw.line, the
// dilation by hand, Image.resize): lines and masks were equal at all 360 orientations of all five.
// This and the hash of an image below rest on the sines and cosines of glibc's libm, whose last
// bits the C++ standard leaves open: with another one a difference need not be a fault.
TEST(Paddle, EqualsPillowAtEveryOrientation) {
  const struct {
    int length;
    double thickness;
    int margin;
  } kPaddles[] = {{2, 0.5, 1}, {5, 1, 1}, {5, 1.5, 2}, {5, 1.5, 3}, {5, 2, 3}};
  ContentHasher hasher;
  for (const auto& each : kPaddles) {
    for (int degree = -180; degree < 180; ++degree) {
      const Paddle paddle =
          draw_paddle(each.length, each.thickness, each.margin, degree * std::numbers::pi / 180);
      hasher.update(std::as_bytes(std::span(paddle.line)));
      hasher.update(std::as_bytes(std::span(paddle.mask)));
    }
  }
  EXPECT_EQ(hasher.digest().hex(), "5a1f7f55651a0256ec4c85ff2625ed9c");
}

TEST(ClaimedSpace, DrawsEveryFreePixelAndNoOther) {
  const struct {
    int side;
    int border;
  } kCases[] = {{32, 2}, {64, 25}, {128, 55}, {256, 120}};
  for (const auto& [side, border] : kCases) {
    ClaimedSpace space(side, 1);
    const Paddle paddle = draw_paddle(2, 0.5, 1, 0);
    space.claim(paddle, {.y = side / 2 - 2, .x = side / 2 - 2});
    const std::vector<PixelOffset> offsets = {{.y = 1, .x = 1}, {.y = -3, .x = 0}};
    std::vector<int> hits(static_cast<std::size_t>(side * side));
    RandomWords random(5);
    // A free pixel is missed 30 expected times over with probability below 1e-12.
    const int inside = side - 2 * border + 4;
    for (int i = 0; i < 30 * inside * inside; ++i) {
      const auto at = space.draw_free(offsets, border, random);
      ASSERT_TRUE(at.has_value());
      ++hits[static_cast<std::size_t>(at->y * side + at->x)];
    }
    const auto claimed = [&, side = side, border = border](int y, int x) {
      const bool edge = std::min({y, x, side - 1 - y, side - 1 - x}) < border;
      return edge || space.largest_near({.y = y, .x = x}, {{.y = 0, .x = 0}}) > 76;
    };
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        bool free = true;
        for (const PixelOffset& offset : offsets) {
          const PixelOffset to = {.y = y + offset.y, .x = x + offset.x};
          free = free && !(space.contains(to) && claimed(to.y, to.x));
        }
        EXPECT_EQ(hits[static_cast<std::size_t>(y * side + x)] > 0, free)
            << side << ": " << y << " " << x;
      }
    }
  }
}

TEST(ClaimedSpace, KnowsWhenNothingIsFree) {
  ClaimedSpace space(32, 16);
  RandomWords random(1);
  EXPECT_FALSE(space.draw_free({{.y = 0, .x = 0}}, 0, random).has_value());
  EXPECT_EQ(space.free_share(), 0.0);
  EXPECT_FALSE(space.has_room(draw_paddle(2, 0.5, 1, 0), {.y = 9, .x = 9}));
  EXPECT_TRUE(ClaimedSpace(32, 1).has_room(draw_paddle(2, 0.5, 1, 0), {.y = 9, .x = 9}));
}

// Share of pixels that are not black, in percent, and mean pixel.
struct Look {
  double not_black = 0;
  double mean = 0;
  double connected = 0;
};

Look look_at(int side, PathfinderLevel level, int images) {
  const PathfinderGenerator generator(side, level);
  Look look;
  for (int i = 0; i < images; ++i) {
    const PathfinderImage image = generator.draw(7, static_cast<std::uint64_t>(i));
    const double pixels = static_cast<double>(image.pixels.size()) * images;
    for (const std::uint8_t pixel : image.pixels) {
      look.not_black += pixel > 0 ? 100 / pixels : 0;
      look.mean += pixel / pixels;
    }
    look.connected += image.label / static_cast<double>(images);
  }
  return look;
}

// The published program itself, run with the published parameters, gave these means (32 pixels:
// 1,000 images of ../shared/data; 64 and 128: 60 and 40 of our own run). Tolerances are 5 standard
// errors of both samples together: false alarm rate below 1e-6 each.
TEST(PathfinderGenerator, LooksLikeThePublishedProgram) {
  const Look easy = look_at(32, PathfinderLevel::kEasy, 1000);
  EXPECT_NEAR(easy.not_black, 22.75, 0.75);
  EXPECT_NEAR(easy.mean, 12.97, 0.50);
  EXPECT_NEAR(easy.connected, 0.5, 0.08);
  const Look middle = look_at(32, PathfinderLevel::kIntermediate, 1000);
  EXPECT_NEAR(middle.not_black, 26.52, 0.80);
  EXPECT_NEAR(middle.mean, 15.39, 0.55);
  const Look hard = look_at(32, PathfinderLevel::kHard, 1000);
  EXPECT_NEAR(hard.not_black, 34.22, 0.85);
  EXPECT_NEAR(hard.mean, 20.19, 0.60);
  const Look larger = look_at(64, PathfinderLevel::kEasy, 300);
  EXPECT_NEAR(larger.not_black, 19.92, 1.5);
  const Look path_x = look_at(128, PathfinderLevel::kEasy, 100);
  EXPECT_NEAR(path_x.not_black, 10.99, 0.3);
}

TEST(PathfinderGenerator, EveryResolutionAndLevelHasImages) {
  for (const int side : {32, 64, 128, 256}) {
    for (const auto level :
         {PathfinderLevel::kEasy, PathfinderLevel::kIntermediate, PathfinderLevel::kHard}) {
      const PathfinderImage image = PathfinderGenerator(side, level).draw(1, 2);
      EXPECT_EQ(image.pixels.size(), static_cast<std::size_t>(side * side));
      EXPECT_EQ(*std::max_element(image.pixels.begin(), image.pixels.end()), 255);
      EXPECT_EQ(*std::min_element(image.pixels.begin(), image.pixels.end()), 0);
    }
  }
}

// At 32 pixels distractors alone are brighter than three quarters; at 64 discs are the brightest
// and contours at 0.8 of them.
TEST(PathfinderGenerator, BrightnessTellsWhatIsWhat) {
  const auto brighter_than = [](int side, int value, std::uint64_t index) {
    const PathfinderImage image = PathfinderGenerator(side, PathfinderLevel::kEasy).draw(3, index);
    return std::count_if(image.pixels.begin(), image.pixels.end(),
                         [value](std::uint8_t pixel) { return pixel > value; });
  };
  std::int64_t brightest = 0;
  for (std::uint64_t i = 0; i < 20; ++i) {
    brightest += brighter_than(32, 192, i);
    // Two discs of radius 2.5 or, where they coincide, little less than one.
    EXPECT_GE(brighter_than(64, 210, i), 9);
    EXPECT_LE(brighter_than(64, 210, i), 50);
  }
  // Few, as distractors are; it would be 22.4 if the contours were the brightest.
  EXPECT_NEAR(static_cast<double>(brightest) / 20, 17.85, 2);
}

TEST(PathfinderGenerator, DependsOnSeedAndIndexAlone) {
  const PathfinderGenerator generator(32, PathfinderLevel::kHard);
  const PathfinderImage image = generator.draw(1, 5);
  static_cast<void>(generator.draw(1, 6));
  EXPECT_EQ(generator.draw(1, 5).pixels, image.pixels);
  EXPECT_EQ(PathfinderGenerator(32, PathfinderLevel::kHard).draw(1, 5).pixels, image.pixels);
  EXPECT_NE(generator.draw(1, 6).pixels, image.pixels);
  EXPECT_NE(generator.draw(2, 5).pixels, image.pixels);
  EXPECT_EQ(content_hash(std::as_bytes(std::span(image.pixels))).hex(),
            "433dc7893a0d64c408eb1617d21149d2");
}

TEST(PathfinderGenerator, TheThreadsDoNotMatter) {
  const PathfinderParameters parameters = {.level = PathfinderLevel::kEasy,
                                           .train_samples = 40,
                                           .validation_samples = 0,
                                           .test_samples = 7};
  std::vector<std::string> hashes;
  for (const int threads : {1, 2, 5}) {
    ContentHasher hasher;
    std::vector<int> counts(3);
    generate_pathfinder(32, parameters, 9, threads,
                        [&](std::size_t split, const PathfinderImage& image) {
                          ++counts[split];
                          hasher.update(std::as_bytes(std::span(image.pixels)));
                        });
    EXPECT_THAT(counts, ::testing::ElementsAre(40, 0, 7));
    hashes.push_back(hasher.digest().hex());
  }
  EXPECT_EQ(hashes[0], hashes[1]);
  EXPECT_EQ(hashes[0], hashes[2]);
}

TEST(PathfinderGenerator, RefusesWhatItCannotDraw) {
  EXPECT_THAT([] { PathfinderGenerator(48, PathfinderLevel::kEasy); },
              ThrowsMessage<ConfigError>(HasSubstr("found 48")));
  EXPECT_THAT(
      [] {
        generate_pathfinder(32, {.test_samples = -1}, 0, 1,
                            [](std::size_t, const PathfinderImage&) {});
      },
      ThrowsMessage<ConfigError>(HasSubstr("test_samples")));
}

}  // namespace
}  // namespace sbm::data
