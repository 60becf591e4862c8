#pragma once

#include <cstdint>

namespace sbm::data {

/// The grey value of a colour exactly as TensorFlow rounds it (tf.image.rgb_to_grayscale of a uint8
/// image): in float32, channels scaled by 1/255, weighted sum from left to right without fused
/// operations, times 255.5, cut. Another order or precision differs on some of the 2^24 colours:
/// float64 on 237 of them. Depends on -ffp-contract=off.
[[nodiscard]] inline std::uint8_t tensorflow_grey(std::uint8_t red, std::uint8_t green,
                                                  std::uint8_t blue) {
  constexpr float kScale = 1.0F / 255.0F;
  const float r = static_cast<float>(red) * kScale;
  const float g = static_cast<float>(green) * kScale;
  const float b = static_cast<float>(blue) * kScale;
  const float grey = 0.2989F * r + 0.5870F * g + 0.1140F * b;
  return static_cast<std::uint8_t>(grey * 255.5F);
}

}  // namespace sbm::data
