#include "data/lanczos.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace sbm::data {
namespace {

constexpr int kWeightBits = 22;
constexpr double kLobes = 3.0;

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos(double x) { return x >= -kLobes && x < kLobes ? sinc(x) * sinc(x / kLobes) : 0.0; }

std::uint8_t rounded(std::int64_t sum) {
  return static_cast<std::uint8_t>(
      std::clamp<std::int64_t>((sum + (1 << (kWeightBits - 1))) >> kWeightBits, 0, 255));
}

}  // namespace

LanczosShrinker::LanczosShrinker(int from, int to) : from_(from), to_(to) {
  const double scale = static_cast<double>(from) / to;
  const double support = kLobes * scale;
  for (int pixel = 0; pixel < to; ++pixel) {
    const double center = (pixel + 0.5) * scale;
    Taps taps;
    taps.first = std::max(0, static_cast<int>(std::floor(center - support + 0.5)));
    const int end = std::min(from, static_cast<int>(std::floor(center + support + 0.5)));
    std::vector<double> weights;
    double sum = 0;
    for (int x = taps.first; x < end; ++x) {
      weights.push_back(lanczos((x - center + 0.5) / scale));
      sum += weights.back();
    }
    for (const double weight : weights) {
      taps.weights.push_back(
          static_cast<std::int32_t>(std::lround(weight / sum * (1 << kWeightBits))));
    }
    taps_.push_back(std::move(taps));
  }
}

std::vector<std::uint8_t> LanczosShrinker::shrink(std::span<const std::uint8_t> image) const {
  return shrink(image, {.top = 0, .bottom = to_, .left = 0, .right = to_});
}

std::vector<std::uint8_t> LanczosShrinker::shrink(std::span<const std::uint8_t> image,
                                                  const PixelRegion& region) const {
  const int width = region.right - region.left;
  const int height = region.bottom - region.top;
  if (width <= 0 || height <= 0) return {};
  const auto taps = [this](int pixel) -> const Taps& {
    return taps_[static_cast<std::size_t>(pixel)];
  };
  const int first_row = taps(region.top).first;
  const Taps& last = taps(region.bottom - 1);
  const int rows = last.first + static_cast<int>(last.weights.size()) - first_row;

  std::vector<std::uint8_t> narrow(static_cast<std::size_t>(rows) *
                                   static_cast<std::size_t>(width));
  auto out = narrow.begin();
  for (int row = first_row; row < first_row + rows; ++row) {
    const std::uint8_t* line = image.data() + static_cast<std::ptrdiff_t>(row) * from_;
    for (int column = region.left; column < region.right; ++column) {
      std::int64_t sum = 0;
      const std::uint8_t* source = line + taps(column).first;
      for (const std::int32_t weight : taps(column).weights)
        sum += std::int64_t{weight} * *source++;
      *out++ = rounded(sum);
    }
  }
  std::vector<std::uint8_t> result;
  result.reserve(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  for (int row = region.top; row < region.bottom; ++row) {
    for (int column = 0; column < width; ++column) {
      std::int64_t sum = 0;
      auto source = narrow.begin() + (taps(row).first - first_row) * width + column;
      for (const std::int32_t weight : taps(row).weights) {
        sum += std::int64_t{weight} * *source;
        source += width;
      }
      result.push_back(rounded(sum));
    }
  }
  return result;
}

}  // namespace sbm::data
