#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/flat_layout.h"

// Checkpoints as commits (design, section 3.3). The folder
//   <run>/checkpoints/step-000001200/{MANIFEST.json, model-*.safetensors, optimizer-*.safetensors,
//   trainer_state.json, writer.json}
// is complete when it has its final name; nothing in it but writer.json depends on the world size.
namespace sbm::distributed::checkpoint {

/// What training hands over to be saved. Spans stay untouched until save() returns.
struct Snapshot {
  std::int64_t step = 0;
  const FlatLayout* layout = nullptr;
  std::span<const float> weights;        ///< the whole flat buffer, equal on all ranks
  std::span<const float> first_moment;   ///< this rank's shard
  std::span<const float> second_moment;  ///< this rank's shard
  std::string trainer_state;             ///< JSON text, equal on all ranks
  std::int32_t sampler_version = 0;
  std::string data_fingerprint;
  std::string configuration;  ///< resolved configuration text
};

/// What a checkpoint gives back. Moments are those of the caller's shard.
struct Restored {
  std::int64_t step = 0;
  std::string trainer_state;
  std::string configuration;
  std::string data_fingerprint;
};

/// A complete checkpoint found on disk.
struct Found {
  std::int64_t step = 0;
  std::filesystem::path folder;
};

/// Collective. Writes <checkpoints>/step-N by the commit protocol; all ranks return together. When
/// any rank fails, the temporary folder is removed, every rank throws CheckpointError naming the
/// failing rank, path and errno, and older checkpoints stay as they were.
void save(Communicator& communicator, const std::filesystem::path& checkpoints,
          const std::string& run_id, const Snapshot& snapshot);

/// Collective. Removes complete checkpoints beyond the newest `keep_last`, never `protected_steps`;
/// renames before it deletes, so no half-deleted folder looks complete.
void retain(Communicator& communicator, const std::filesystem::path& checkpoints,
            std::int64_t keep_last, std::span<const std::int64_t> protected_steps);

/// Complete-looking checkpoints (final name), newest first. Not collective.
std::vector<Found> list(const std::filesystem::path& checkpoints);

/// Checks manifest, sizes and every hash; throws CheckpointError naming file, tensor and offset of
/// the first mismatch. Not collective.
void verify(const std::filesystem::path& folder);

/// Collective. Rank 0 chooses the newest checkpoint that verifies and broadcasts it; damaged ones
/// are skipped and reported through `warnings`. None at all: nullopt. Some, but none sound:
/// CheckpointError. Also removes leftovers of killed saves (*.tmp.*, *.del).
std::optional<Found> find_newest(Communicator& communicator,
                                 const std::filesystem::path& checkpoints,
                                 std::vector<std::string>& warnings);

/// Collective. Fills the caller's weights (whole) and moments (its shard) from `folder`, whatever
/// world size wrote it; the bytes used are those whose hash was checked. Throws CheckpointError,
/// listing all missing, unexpected or misshapen tensors at once. Empty moment spans: weights only.
Restored load(Communicator& communicator, const std::filesystem::path& folder,
              const FlatLayout& layout, std::span<float> weights, std::span<float> first_moment,
              std::span<float> second_moment);

/// The model's tensors as one safetensors file at `out` (temporary name, fsync, rename). Throws
/// CheckpointError when `out` exists.
void export_model(const std::filesystem::path& folder, const std::filesystem::path& out);

}  // namespace sbm::distributed::checkpoint
