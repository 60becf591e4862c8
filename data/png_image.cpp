#include "data/png_image.h"

#include <fmt/format.h>
#include <png.h>

#include <string>

#include "base/error.h"

namespace sbm::data {
namespace {

// Frees what libpng holds.
class Decoder {
 public:
  Decoder() { image_.version = PNG_IMAGE_VERSION; }
  ~Decoder() { png_image_free(&image_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  png_image& image() { return image_; }

  void check(int result) const {
    // Warnings are errors: libpng repairs some files that are damaged.
    if (result == 0 || PNG_IMAGE_FAILED(image_) || image_.warning_or_error != 0) {
      throw DataError(fmt::format("damaged or no PNG image: {}", image_.message));
    }
  }

 private:
  png_image image_{};
};

}  // namespace

std::vector<std::uint8_t> decode_grey_png(std::span<const std::uint8_t> file, int side) {
  if (file.empty()) throw DataError("expected a PNG image, found an empty file");
  if (file.size() > max_png_bytes(side)) {
    throw DataError(fmt::format("expected a PNG image of at most {} bytes, found {}",
                                max_png_bytes(side), file.size()));
  }
  Decoder decoder;
  png_image& image = decoder.image();
  decoder.check(png_image_begin_read_from_memory(&image, file.data(), file.size()));
  const auto expected = static_cast<png_uint_32>(side);
  if (image.width != expected || image.height != expected) {
    throw DataError(
        fmt::format("expected {0} x {0} pixels, found {1} x {2}", side, image.width, image.height));
  }
  if (image.format != PNG_FORMAT_GRAY) {
    throw DataError("expected 8-bit grey pixels, found colours, transparency or 16 bits");
  }
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
  decoder.check(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr));
  return pixels;
}

}  // namespace sbm::data
