#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/content_hash.h"
#include "distributed/checkpoint/safetensors.h"

namespace sbm::distributed::checkpoint {

/// Version of the layout of a checkpoint folder. Older ones are read, newer ones refused.
inline constexpr std::uint64_t kFormatVersion = 1;
/// A tensor is hashed in blocks of this many bytes (the last may be shorter), so that damage is
/// named to within one of them and a shard is checked without reading the rest.
inline constexpr std::uint64_t kBlockBytes = std::uint64_t{4} << 20;
/// Larger manifests are refused unread.
inline constexpr std::uint64_t kLargestManifest = std::uint64_t{16} << 20;

inline constexpr const char* kManifestName = "MANIFEST.json";
inline constexpr const char* kTrainerStateName = "trainer_state.json";
inline constexpr const char* kWriterName = "writer.json";
inline constexpr std::string_view kFirstMomentPrefix = "first_moment.";
inline constexpr std::string_view kSecondMomentPrefix = "second_moment.";

/// One file of a checkpoint. For a tensor file also its header (length field and JSON).
struct FileRecord {
  std::uint64_t bytes = 0;
  ContentHash hash;
  std::uint64_t header_bytes = 0;  ///< 0: not a tensor file
  ContentHash header_hash;
  bool operator==(const FileRecord&) const = default;
};

/// One tensor: where it lies, [begin, end) in bytes of the file, and the hash of each block.
struct TensorRecord {
  std::string file;
  DataType type = DataType::kF32;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::vector<ContentHash> blocks;
  bool operator==(const TensorRecord&) const = default;
};

/// Whether the tensor is part of the optimiser's state rather than of the model.
bool is_moment(std::string_view tensor_name);

/// Everything that a checkpoint holds, and nothing that depends on who wrote it.
struct Manifest {
  std::int64_t step = 0;
  std::int32_t sampler_version = 0;
  std::string data_fingerprint;
  std::string configuration;
  std::map<std::string, FileRecord> files;      ///< by name; without the manifest and writer.json
  std::map<std::string, TensorRecord> tensors;  ///< by name
  bool operator==(const Manifest&) const = default;
};

/// The manifest's bytes: equal for equal manifests, closed by the hash of all that precedes.
std::string format_manifest(const Manifest& manifest);

/// The inverse. Every field is checked, and the tensors of a file must cover it without holes.
/// Throws CheckpointError naming `path`.
Manifest parse_manifest(std::string_view text, const std::string& path);

/// `files` and `tensors` as JSON, and back: how ranks tell each other what they wrote.
nlohmann::json records_to_json(const std::map<std::string, FileRecord>& files,
                               const std::map<std::string, TensorRecord>& tensors);
void records_from_json(const nlohmann::json& json, const std::string& path,
                       std::map<std::string, FileRecord>& files,
                       std::map<std::string, TensorRecord>& tensors);

}  // namespace sbm::distributed::checkpoint
