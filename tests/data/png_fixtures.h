#pragma once

#include <png.h>

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace sbm::data {

/// A PNG file of side x side pixels that all have the given value.
inline std::vector<std::uint8_t> png(int side, std::uint8_t value,
                                     png_uint_32 format = PNG_FORMAT_GRAY) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(side);
  image.height = static_cast<png_uint_32>(side);
  image.format = format;
  const std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image), value);
  png_alloc_size_t bytes = 0;
  png_image_write_get_memory_size(image, bytes, 0, pixels.data(), 0, nullptr);
  std::vector<std::uint8_t> file(bytes);
  if (png_image_write_to_memory(&image, file.data(), &bytes, 0, pixels.data(), 0, nullptr) == 0) {
    throw std::runtime_error(image.message);
  }
  file.resize(bytes);
  return file;
}

}  // namespace sbm::data
