#include "data/png_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tests/data/png_fixtures.h"

namespace sbm::data {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(PngImage, ReadsGreyOfTheRightSizeOnly) {
  EXPECT_THAT(decode_grey_png(png(32, 7), 32), Each(7));
  EXPECT_EQ(decode_grey_png(png(32, 7), 32).size(), 1024U);
  EXPECT_THAT([] { decode_grey_png(png(32, 7), 64); },
              ThrowsMessage<DataError>(HasSubstr("expected 64 x 64 pixels, found 32 x 32")));
  for (const png_uint_32 format : {PNG_FORMAT_RGB, PNG_FORMAT_GA, PNG_FORMAT_LINEAR_Y}) {
    EXPECT_THAT([format] { decode_grey_png(png(32, 7, format), 32); },
                ThrowsMessage<DataError>(HasSubstr("8-bit grey")));
  }
  EXPECT_THAT([] { decode_grey_png({}, 32); }, ThrowsMessage<DataError>(HasSubstr("empty file")));
  std::vector<std::uint8_t> large = png(32, 7);
  large.resize(max_png_bytes(32) + 1);
  EXPECT_THAT([&] { decode_grey_png(large, 32); },
              ThrowsMessage<DataError>(HasSubstr("at most 67584 bytes, found 67585")));
}

// The file with one more chunk behind its header.
std::vector<std::uint8_t> with_chunk(std::vector<std::uint8_t> file, const std::string& name,
                                     const std::string& data) {
  constexpr std::ptrdiff_t kHeaderEnd = 8 + 12 + 13;
  std::string chunk;
  const auto put = [&chunk](std::size_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) chunk += static_cast<char>(value >> shift & 255);
  };
  put(data.size());
  const std::string named = name + data;
  chunk += named;
  put(crc32(0, reinterpret_cast<const Bytef*>(named.data()), static_cast<uInt>(named.size())));
  file.insert(file.begin() + kHeaderEnd, chunk.begin(), chunk.end());
  return file;
}

TEST(PngImage, ChunksThatAreNoPixelsAreNotLookedAt) {
  // With a gamma of 1 in the place of sRGB, libpng would make brighter pixels.
  std::vector<std::uint8_t> file = png(32, 100);
  constexpr std::string_view kName = "sRGB";
  const auto name = std::search(file.begin(), file.end(), kName.begin(), kName.end());
  ASSERT_NE(name, file.end());
  file.erase(name - 4, name + 4 + 1 + 4);
  EXPECT_THAT(decode_grey_png(with_chunk(file, "gAMA", std::string("\0\1\x86\xa0", 4)), 32),
              Each(100));
  // A text that is no zlib stream: who unpacked it would see that.
  EXPECT_THAT(
      decode_grey_png(with_chunk(png(32, 7), "zTXt", std::string("a\0\0no stream", 12)), 32),
      Each(7));
  EXPECT_THAT([] { decode_grey_png(with_chunk(png(32, 7), "PLTE", "abc"), 32); },
              ThrowsMessage<DataError>(HasSubstr("chunks of a grey image")));
  EXPECT_THAT([] { decode_grey_png(with_chunk(png(32, 7), "IHDR", std::string(13, 1)), 32); },
              ThrowsMessage<DataError>(HasSubstr("chunks of a grey image")));
}

// Two hundred texts of a megabyte each, packed a thousandfold, in a file that is small enough.
TEST(PngImage, PackedTextsAreNotUnpacked) {
  const std::string text(std::size_t{1} << 20, 'x');
  uLongf size = compressBound(text.size());
  std::string packed(size, '\0');
  ASSERT_EQ(compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                      reinterpret_cast<const Bytef*>(text.data()), text.size(), 9),
            Z_OK);
  packed.resize(size);
  std::vector<std::uint8_t> file = png(256, 9);
  for (int i = 0; i < 150; ++i) {
    file = with_chunk(file, "zTXt", std::string("a\0\0", 3) + packed);
  }
  ASSERT_LE(file.size(), max_png_bytes(256));
  const auto peak_kilobytes = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const auto before = peak_kilobytes();
  EXPECT_THAT(decode_grey_png(file, 256), Each(9));
  EXPECT_LT(peak_kilobytes() - before, 64 << 10);
}

TEST(PngImage, NoCutAndNoFlippedByteGetsThrough) {
  const std::vector<std::uint8_t> sound = png(32, 200);
  for (std::size_t size = 0; size < sound.size(); ++size) {
    const std::vector<std::uint8_t> cut(sound.begin(),
                                        sound.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(decode_grey_png(cut, 32), DataError) << size;
  }
  for (std::size_t at = 0; at < sound.size(); ++at) {
    std::vector<std::uint8_t> damaged = sound;
    damaged[at] ^= 0x10;
    // Either it is refused, or the damage lies where it changes no pixel.
    try {
      EXPECT_THAT(decode_grey_png(damaged, 32), Each(200)) << at;
    } catch (const DataError&) {
    }
  }
}

}  // namespace
}  // namespace sbm::data
