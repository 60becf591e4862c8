#include "trainer/initialisation.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numbers>

#include "base/philox.h"
#include "base/random_stream.h"

namespace sbm::trainer {
namespace {

PhiloxKey key_of(const std::string& name, std::uint64_t seed) {
  StreamId id;
  id.purpose = StreamPurpose::kInitialisation;
  id.sample = XXH3_64bits(name.data(), name.size());
  return stream_key(seed, id);
}

/// Two numbers in (0, 1) for pair `index` of the stream: the upper 52 bits of 64 and a half, so
/// that neither end is ever met.
std::array<double, 2> uniform_pair(PhiloxKey key, std::uint64_t index) {
  const PhiloxBlock words = philox4x32<10>(
      {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), 0, 0}, key);
  const auto to_unit = [](std::uint32_t high, std::uint32_t low) {
    const std::uint64_t bits = ((static_cast<std::uint64_t>(high) << 32) | low) >> 12;
    return (static_cast<double>(bits) + 0.5) * 0x1p-52;
  };
  return {to_unit(words[0], words[1]), to_unit(words[2], words[3])};
}

void fill(std::span<float> values, PhiloxKey key,
          const std::function<std::array<double, 2>(std::array<double, 2>)>& transform) {
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const std::array<double, 2> pair = transform(uniform_pair(key, i / 2));
    values[i] = static_cast<float>(pair[0]);
    if (i + 1 < values.size()) values[i + 1] = static_cast<float>(pair[1]);
  }
}

void fill_normal(std::span<float> values, PhiloxKey key, double deviation) {
  fill(values, key, [deviation](std::array<double, 2> uniform) -> std::array<double, 2> {
    const double radius = deviation * std::sqrt(-2.0 * std::log(uniform[0]));
    const double angle = 2.0 * std::numbers::pi * uniform[1];
    return {radius * std::cos(angle), radius * std::sin(angle)};
  });
}

void fill_uniform(std::span<float> values, PhiloxKey key, double bound) {
  fill(values, key, [bound](std::array<double, 2> uniform) -> std::array<double, 2> {
    return {bound * (2.0 * uniform[0] - 1.0), bound * (2.0 * uniform[1] - 1.0)};
  });
}

}  // namespace

void initialise(const std::string& name, const Initial& initial, std::uint64_t seed,
                std::span<float> values) {
  switch (initial.law) {
    case Initial::Law::kConstant:
      std::fill(values.begin(), values.end(), static_cast<float>(initial.scale));
      return;
    case Initial::Law::kUniform:
      fill_uniform(values, key_of(name, seed), initial.scale);
      return;
    case Initial::Law::kNormal:
      fill_normal(values, key_of(name, seed), initial.scale);
      return;
  }
}

}  // namespace sbm::trainer
