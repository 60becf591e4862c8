#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace sbm::trainer {

/// One head's sampled mask beside the probabilities it was drawn from, for one sample.
struct MaskPicture {
  int layer = 0;
  int head = 0;
  std::int64_t tokens = 0;         ///< rows and columns shown (valid tokens, cropped)
  std::vector<float> probability;  ///< P [tokens, tokens], row = query
  std::vector<std::uint8_t> mask;  ///< sampled A [tokens, tokens]
};

/// Keeps the pictures of a run in <run>/masks.json, replacing the last ones. Throws
/// ConfigError when it cannot.
void save_mask_pictures(const std::filesystem::path& run_directory, std::int64_t step,
                        const std::vector<MaskPicture>& pictures);

/// Writes <run>/report.html from config.textproto, metrics.jsonl and masks.json: one file that
/// needs no network. Returns its path. Throws ConfigError when the folder holds no run, or the file
/// cannot be written.
std::filesystem::path write_report(const std::filesystem::path& run_directory);

}  // namespace sbm::trainer
