#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "data/dataset.h"
#include "trainer/config.pb.h"

namespace sbm::trainer {

/// How fast the loader hands out the training split of one task. Tokens are those of the samples,
/// padding left out, for the loader and for training alike.
struct LoaderTimes {
  std::uint64_t samples = 0;         ///< of the split
  std::int64_t pass_tokens = 0;      ///< of one pass: the whole steps of an epoch, at least one
  std::optional<double> cold;        ///< tokens a second of wall time, the first pass from the disk
  double still_cached = 0.0;         ///< share of the files that stayed in memory before that pass
  double warm = 0.0;                 ///< tokens a second of processor time, passes from memory
  double training = 0.0;             ///< tokens a second of processor time, forward and backward
  double ratio = 0.0;                ///< warm over training
  std::optional<double> cold_ratio;  ///< cold over training
};

/// Above it a first pass is not called cold.
inline constexpr double kMostStillCached = 0.05;

/// Times TrainingLoader on split "train" of `folder` with the batches, buckets and masking of
/// `config`: one pass with the files out of memory and every checksum still to be checked, then
/// passes until `seconds` of processor time are used. Beside it, micro-batches of the configured
/// model, forward and backward without the optimiser (so training is, if anything, taken to be
/// faster than it is), for `seconds` or at least one, on at::get_num_threads() threads, which
/// should be one. Throws DataError when the folder holds another task's data.
LoaderTimes time_loader(const Config& config, const std::filesystem::path& folder, double seconds);

}  // namespace sbm::trainer
