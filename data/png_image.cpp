#include "data/png_image.h"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/error.h"

namespace sbm::data {
namespace {

constexpr std::array<std::uint8_t, 8> kSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::size_t kAroundData = 12;  // a chunk's length, name and checksum
constexpr std::size_t kHeaderBytes = 13;

[[noreturn]] void refuse(std::string_view reason) {
  throw DataError(fmt::format("damaged or no PNG image: {}", reason));
}

std::uint32_t big_endian(std::span<const std::uint8_t> bytes) {
  return static_cast<std::uint32_t>(bytes[0]) << 24 | static_cast<std::uint32_t>(bytes[1]) << 16 |
         static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3];
}

struct Chunk {
  std::string_view name;
  std::span<const std::uint8_t> whole;
  std::span<const std::uint8_t> data;
};

Chunk take_chunk(std::span<const std::uint8_t>& rest) {
  if (rest.size() < kAroundData) refuse("expected another chunk, found the end of the file");
  const std::uint32_t length = big_endian(rest);
  if (length > rest.size() - kAroundData) refuse("expected a chunk, found a part of one");
  const Chunk chunk{.name = {reinterpret_cast<const char*>(rest.data() + 4), 4},
                    .whole = rest.first(kAroundData + length),
                    .data = rest.subspan(8, length)};
  rest = rest.subspan(chunk.whole.size());
  return chunk;
}

void check_header(const Chunk& chunk, int side) {
  if (chunk.name != "IHDR" || chunk.data.size() != kHeaderBytes) refuse("expected a header first");
  const std::uint32_t width = big_endian(chunk.data);
  const std::uint32_t height = big_endian(chunk.data.subspan(4));
  const auto expected = static_cast<std::uint32_t>(side);
  if (width != expected || height != expected) {
    throw DataError(fmt::format("expected {0} x {0} pixels, found {1} x {2}", side, width, height));
  }
  if (chunk.data[8] != 8 || chunk.data[9] != PNG_COLOR_TYPE_GRAY) {
    throw DataError("expected 8-bit grey pixels, found colours, transparency or another depth");
  }
}

// The file without what is no pixel: texts may unpack to a thousand times their size, and a gamma
// would change the values.
std::vector<std::uint8_t> without_remarks(std::span<const std::uint8_t> file, int side) {
  if (file.size() < kSignature.size() ||
      !std::equal(kSignature.begin(), kSignature.end(), file.begin())) {
    refuse("expected the signature of PNG");
  }
  std::vector<std::uint8_t> kept(kSignature.begin(), kSignature.end());
  std::span<const std::uint8_t> rest = file.subspan(kSignature.size());
  Chunk chunk = take_chunk(rest);
  check_header(chunk, side);
  kept.insert(kept.end(), chunk.whole.begin(), chunk.whole.end());
  while (chunk.name != "IEND") {
    chunk = take_chunk(rest);
    if (chunk.name == "IDAT" || chunk.name == "IEND") {
      kept.insert(kept.end(), chunk.whole.begin(), chunk.whole.end());
    } else if (chunk.name[0] >= 'A' && chunk.name[0] <= 'Z') {
      // Names of chunks that an image cannot be read without begin with a capital.
      refuse("expected the chunks of a grey image, found another");
    }
  }
  return kept;
}

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
      refuse(image_.message);
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
  const std::vector<std::uint8_t> plain = without_remarks(file, side);
  Decoder decoder;
  png_image& image = decoder.image();
  decoder.check(png_image_begin_read_from_memory(&image, plain.data(), plain.size()));
  if (image.format != PNG_FORMAT_GRAY) throw InternalError("libpng saw another header");
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
  decoder.check(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr));
  return pixels;
}

}  // namespace sbm::data
