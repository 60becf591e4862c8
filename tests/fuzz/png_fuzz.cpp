#include <png.h>
#include <zlib.h>

#include <vector>

#include "base/error.h"
#include "data/png_image.h"
#include "tests/fuzz/target.h"

// A PNG file of grey pixels. First byte: bits 0 and 1 say how large the image should be; with bit 2
// the checksums of the chunks are made right, so that what is behind them is reached.
namespace sbm::fuzz {
namespace {

constexpr std::size_t kSignatureBytes = 8;

std::uint32_t big_endian(std::span<const std::uint8_t> bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | bytes[3];
}

void seal(std::vector<std::uint8_t>& bytes) {
  std::size_t at = kSignatureBytes;
  while (at + 12 <= bytes.size()) {
    const std::size_t length = big_endian(std::span(bytes).subspan(at, 4));
    if (length > bytes.size() - at - 12) return;
    const auto sum = static_cast<std::uint32_t>(
        ::crc32(0, bytes.data() + at + 4, static_cast<uInt>(length + 4)));
    for (std::size_t i = 0; i < 4; ++i) {
      bytes[at + 8 + length + i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
    }
    at += 12 + length;
  }
}

}  // namespace
}  // namespace sbm::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sbm::fuzz;
  Input input(data, size);
  const std::uint8_t mode = input.byte();
  const int side = 8 << (mode & 3);
  std::vector<std::uint8_t> bytes(input.rest().begin(), input.rest().end());
  if ((mode & 4) != 0) seal(bytes);
  try {
    const auto pixels = sbm::data::decode_grey_png(bytes, side);
    require(pixels.size() == static_cast<std::size_t>(side) * static_cast<std::size_t>(side),
            "an image has all its pixels");
  } catch (const sbm::DataError&) {
  }
  return 0;
}
