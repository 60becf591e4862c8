#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "distributed/checkpoint/file_system.h"
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

/// How to save. Nothing here changes what is in the checkpoint but writer.json and, for
/// bytes_per_file, the number of files.
struct SaveOptions {
  std::uint64_t bytes_per_file = std::uint64_t{256} << 20;  ///< a tensor file for each begun
  std::int32_t threads = 0;                                 ///< of this rank, for writer.json
  FileSystem* system = &FileSystem::posix();
};

/// What a save did; equal on all ranks.
struct SaveReport {
  std::filesystem::path folder;
  bool written = false;     ///< false: the same step was there already and verified
  std::uint64_t bytes = 0;  ///< of all files but writer.json and the manifest; 0 when not written
  std::string notice;       ///< for the log, when something was skipped or put aside
};

/// What a checkpoint gives back. Moments are those of the caller's shard.
struct Restored {
  std::int64_t step = 0;
  std::string trainer_state;
  std::string configuration;
  std::string data_fingerprint;
  std::int32_t sampler_version = 0;
};

/// A complete checkpoint found on disk.
struct Found {
  std::int64_t step = 0;
  std::filesystem::path folder;
};

/// Collective. Writes <checkpoints>/step-N by the commit protocol; all ranks return together. A
/// step-N that is there already is kept when it verifies and else renamed to step-N.bad-<unix time>
/// (see SaveReport::notice). When any rank fails, the temporary folder is removed, every rank
/// throws CheckpointError naming the failing rank, path and errno, and older checkpoints stay as
/// they were. `run_id`: 1 to 64 of [A-Za-z0-9._-], no leading dot, another one in each run.
SaveReport save(Communicator& communicator, const std::filesystem::path& checkpoints,
                const std::string& run_id, const Snapshot& snapshot,
                const SaveOptions& options = {});

/// Collective. Removes complete checkpoints beyond the newest `keep_last` (at least 1), never
/// `protected_steps`; renames before it deletes, so no half-deleted folder looks complete. Folders
/// whose manifest or file sizes are wrong neither count nor go: someone should look at them. When
/// something is to go, every hash of the newest one is checked first; if that one is damaged,
/// nothing goes. Both are reported through `warnings` (equal on all ranks), each time anew. Returns
/// the removed steps.
std::vector<std::int64_t> retain(Communicator& communicator,
                                 const std::filesystem::path& checkpoints, std::int64_t keep_last,
                                 std::span<const std::int64_t> protected_steps,
                                 std::vector<std::string>& warnings,
                                 FileSystem& system = FileSystem::posix());

/// Complete-looking checkpoints (final name), newest first; none when the folder does not exist.
/// Not collective.
std::vector<Found> list(const std::filesystem::path& checkpoints,
                        FileSystem& system = FileSystem::posix());

/// Checks manifest, sizes and every hash; throws CheckpointError naming file, tensor and offset of
/// the first mismatch. Not collective.
void verify(const std::filesystem::path& folder, FileSystem& system = FileSystem::posix());

/// Collective. Rank 0 chooses the newest checkpoint that verifies and broadcasts it; damaged ones
/// are skipped and reported through `warnings` (equal on all ranks). None at all: nullopt. Some
/// (damaged ones put aside by save() included), but none sound: CheckpointError. Also removes
/// leftovers of killed saves and deletions (*.tmp.*, *.del), so the caller holds the run's lock.
std::optional<Found> find_newest(Communicator& communicator,
                                 const std::filesystem::path& checkpoints,
                                 std::vector<std::string>& warnings,
                                 FileSystem& system = FileSystem::posix());

/// Collective. Fills the caller's weights (whole) and moments (its shard) from `folder`, whatever
/// world size wrote it; the bytes used are those whose hash was checked, gaps become zeros. When
/// any rank fails, all throw the same CheckpointError, which lists all missing, unexpected or
/// misshapen tensors at once; the spans then hold anything. Empty moment spans: weights only.
Restored load(Communicator& communicator, const std::filesystem::path& folder,
              const FlatLayout& layout, std::span<float> weights, std::span<float> first_moment,
              std::span<float> second_moment, FileSystem& system = FileSystem::posix());

/// The model's tensors as one safetensors file at `out` (temporary name, fsync, rename), with
/// configuration and state of the run in its metadata. Throws
/// CheckpointError when `out` exists. Not collective.
void export_model(const std::filesystem::path& folder, const std::filesystem::path& out,
                  FileSystem& system = FileSystem::posix());

/// What `sbm checkpoint inspect` shows. Not collective; checks the manifest and the sizes only.
struct Inspection {
  struct File {
    std::string name;
    std::uint64_t bytes = 0;
    std::string hash;  ///< XXH3-128 in hexadecimal digits
  };
  struct Tensor {
    std::string name;
    std::string data_type;  ///< "F32"
    std::vector<std::uint64_t> shape;
    std::string file;
  };
  std::int64_t step = 0;
  std::int32_t sampler_version = 0;
  std::string data_fingerprint;
  std::string configuration;
  std::string trainer_state;     ///< JSON text
  std::string writer;            ///< JSON text: world size, hosts, threads, time
  std::uint64_t bytes = 0;       ///< of all files listed
  std::uint64_t parameters = 0;  ///< elements of the model's tensors
  std::vector<File> files;       ///< by name
  std::vector<Tensor> tensors;   ///< by name, moments included
};
Inspection inspect(const std::filesystem::path& folder, FileSystem& system = FileSystem::posix());

}  // namespace sbm::distributed::checkpoint
