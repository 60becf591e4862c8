#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sbm::data {

/// The largest PNG file of an image of side x side grey pixels that is read: twice its pixels and
/// some kilobytes. Anything larger is no such image.
[[nodiscard]] constexpr std::uint64_t max_png_bytes(int side) {
  return 2 * static_cast<std::uint64_t>(side) * static_cast<std::uint64_t>(side) + 65536;
}

/// The pixels of a PNG file that holds side x side pixels of 8-bit grey, row by row. The file is
/// not trusted: its size and its header are checked first, and texts, gamma and whatever else is no
/// pixel never reaches libpng, so memory is a few times max_png_bytes() and values are those of the
/// file. Throws DataError saying what was expected and what was found (without the name of the
/// file).
std::vector<std::uint8_t> decode_grey_png(std::span<const std::uint8_t> file, int side);

}  // namespace sbm::data
