#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/source_files.h"

// The released Pathfinder images: a folder for each level with imgs/N/sample_i.png and
// metadata/N.npy, which is text for all its name: a line an image,
//
//   imgs/N sample_i.png i label continuity contour distractor paddle thickness margin contrasts
namespace sbm::data {

/// One line of metadata.
struct PathfinderRow {
  std::string image;  ///< "imgs/N/sample_i.png"
  std::int32_t label = 0;
};

/// Reads one line. Returns what is wrong with it, or nothing. Names that lead out of the folder are
/// refused.
std::string parse_pathfinder_row(std::string_view line, PathfinderRow& row);

/// The names of the metadata files of `folder`, "metadata/0.npy" and so on, by number. Throws
/// DataError when there is none.
std::vector<std::string> list_pathfinder_metadata(const std::filesystem::path& folder);

/// Hands every row of a metadata file to `take` with its line, and unusable ones to `bad`. Throws
/// DataError, also on a line of more than kMaxLineBytes.
void read_pathfinder_metadata(
    const std::filesystem::path& path,
    const std::function<void(std::uint64_t line, const PathfinderRow&)>& take, const BadRow& bad);

}  // namespace sbm::data
