#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "distributed/checkpoint/file_system.h"
#include "distributed/checkpoint/safetensors.h"

namespace sbm::distributed::checkpoint {

/// Keys of the metadata by which an exported file says what a checkpoint says.
inline constexpr const char* kConfigurationKey = "configuration";
inline constexpr const char* kTrainerStateKey = "trainer_state";

/// A model that another one may start from: the tensors of a checkpoint folder, moments left out,
/// or of one safetensors file, ours or another program's. Not collective.
struct ModelWeights {
  struct Tensor {
    std::string name;
    DataType type = DataType::kF32;
    std::vector<std::uint64_t> shape;
  };
  std::vector<Tensor> tensors;  ///< by name
  /// As in Restored; empty when a file does not say.
  std::string configuration;
  std::string trainer_state;
};

/// What there is. `path` is a checkpoint's folder or a file; links are followed. Throws
/// CheckpointError naming the file, what was expected and what was found.
ModelWeights inspect_weights(const std::filesystem::path& path,
                             FileSystem& system = FileSystem::posix());

/// Fills each span with the first elements of the F32 tensor it is named after, and returns the
/// XXH3-128 of what was read in hexadecimal digits: of a file's bytes, or of a checkpoint's
/// manifest, which holds the hash of all the rest. Only bytes that belong to it are used. Without
/// spans: the hash alone. Throws CheckpointError as above, on damage, and on a span without a
/// tensor of its kind or longer than it.
std::string read_weights(const std::filesystem::path& path,
                         const std::map<std::string, std::span<float>>& destinations,
                         FileSystem& system = FileSystem::posix());

}  // namespace sbm::distributed::checkpoint
