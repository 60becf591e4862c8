#include "distributed/checkpoint/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/checked.h"
#include "distributed/checkpoint/printable.h"
#include "distributed/checkpoint/strict_json.h"

namespace sbm::distributed::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr const char* kFormatName = "sbm-checkpoint";

Json to_json(const FileRecord& file) {
  Json json = {{"bytes", file.bytes}, {"xxh3_128", file.hash.hex()}};
  if (file.header_bytes != 0) {
    json["header_bytes"] = file.header_bytes;
    json["header_xxh3_128"] = file.header_hash.hex();
  }
  return json;
}

Json to_json(const TensorRecord& tensor) {
  Json blocks = Json::array();
  for (const ContentHash& hash : tensor.blocks) blocks.push_back(hash.hex());
  return {{"file", tensor.file},   {"dtype", data_type_name(tensor.type)},
          {"shape", tensor.shape}, {"begin", tensor.begin},
          {"end", tensor.end},     {"block_xxh3_128", std::move(blocks)}};
}

FileRecord parse_file(const Json& json, const std::string& path) {
  FileRecord file;
  file.bytes = unsigned_member(json, "bytes", path);
  file.hash = hash_member(json, "xxh3_128", path);
  if (json.contains("header_bytes")) {
    file.header_bytes = unsigned_member(json, "header_bytes", path);
    file.header_hash = hash_member(json, "header_xxh3_128", path);
    if (file.header_bytes < 8 || file.header_bytes > kLargestHeader + 8 ||
        file.header_bytes > file.bytes) {
      throw CheckpointError(fmt::format("{}: a header of {} bytes in a file of {}", path,
                                        file.header_bytes, file.bytes));
    }
  }
  return file;
}

// Bytes of a tensor of this shape, if they are a whole number that fits.
std::optional<std::uint64_t> tensor_bytes(const TensorRecord& tensor) {
  std::uint64_t bits = data_type_bits(tensor.type);
  for (const std::uint64_t extent : tensor.shape) {
    const auto product = checked_multiply(bits, extent);
    if (!product) return std::nullopt;
    bits = *product;
  }
  if (bits % 8 != 0) return std::nullopt;
  return bits / 8;
}

TensorRecord parse_tensor(const Json& json, const std::string& path) {
  TensorRecord tensor;
  tensor.file = string_member(json, "file", path);
  const std::string type = string_member(json, "dtype", path);
  const auto known = parse_data_type(type);
  if (!known) throw CheckpointError(path + ": unknown dtype " + printable(type));
  tensor.type = *known;
  const Json& shape = member(json, "shape", path);
  if (!shape.is_array() || shape.size() > kMostDimensions) {
    throw CheckpointError(
        fmt::format("{}: \"shape\" is not a list of at most {} numbers", path, kMostDimensions));
  }
  for (const Json& extent : shape) {
    if (!extent.is_number_unsigned()) {
      throw CheckpointError(path + ": \"shape\" holds something that is not an unsigned integer");
    }
    tensor.shape.push_back(extent.get<std::uint64_t>());
  }
  tensor.begin = unsigned_member(json, "begin", path);
  tensor.end = unsigned_member(json, "end", path);
  const auto bytes = tensor_bytes(tensor);
  if (tensor.end < tensor.begin || !bytes || *bytes != tensor.end - tensor.begin) {
    throw CheckpointError(fmt::format("{}: shape and type do not need the bytes [{}, {})", path,
                                      tensor.begin, tensor.end));
  }
  const Json& blocks = member(json, "block_xxh3_128", path);
  if (!blocks.is_array() || blocks.size() != ceil_divide(*bytes, kBlockBytes)) {
    throw CheckpointError(
        fmt::format("{}: expected {} block hashes", path, ceil_divide(*bytes, kBlockBytes)));
  }
  for (const Json& block : blocks) {
    const auto hash =
        block.is_string() ? parse_content_hash(block.get_ref<const std::string&>()) : std::nullopt;
    if (!hash) throw CheckpointError(path + ": a block hash is not 32 hexadecimal digits");
    tensor.blocks.push_back(*hash);
  }
  return tensor;
}

// The tensors of each file follow one another from the header's end to the file's end.
void check_cover(const Manifest& manifest, const std::string& path) {
  std::map<std::string, std::vector<std::pair<std::uint64_t, std::uint64_t>>> ranges;
  for (const auto& [name, tensor] : manifest.tensors) {
    ranges[tensor.file].emplace_back(tensor.begin, tensor.end);
  }
  for (const auto& [name, file] : manifest.files) {
    if (file.header_bytes == 0) continue;
    auto& parts = ranges[name];
    std::sort(parts.begin(), parts.end());
    std::uint64_t covered = file.header_bytes;
    for (const auto& [begin, end] : parts) {
      if (begin != covered) break;
      covered = end;
    }
    if (covered != file.bytes) {
      throw CheckpointError(fmt::format("{}: the tensors of {} do not cover its bytes after {}",
                                        path, name, covered));
    }
    ranges.erase(name);
  }
  if (!ranges.empty()) {
    throw CheckpointError(path + ": tensors in " + printable(ranges.begin()->first) +
                          ", which is not among its tensor files");
  }
}

}  // namespace

bool is_moment(std::string_view tensor_name) {
  return tensor_name.starts_with(kFirstMomentPrefix) ||
         tensor_name.starts_with(kSecondMomentPrefix);
}

Json records_to_json(const std::map<std::string, FileRecord>& files,
                     const std::map<std::string, TensorRecord>& tensors) {
  Json json = {{"files", Json::object()}, {"tensors", Json::object()}};
  for (const auto& [name, file] : files) json["files"][name] = to_json(file);
  for (const auto& [name, tensor] : tensors) json["tensors"][name] = to_json(tensor);
  return json;
}

void records_from_json(const Json& json, const std::string& path,
                       std::map<std::string, FileRecord>& files,
                       std::map<std::string, TensorRecord>& tensors) {
  const Json& file_members = member(json, "files", path);
  const Json& tensor_members = member(json, "tensors", path);
  if (!file_members.is_object() || !tensor_members.is_object()) {
    throw CheckpointError(path + ": \"files\" and \"tensors\" must be objects");
  }
  for (const auto& [name, value] : file_members.items()) {
    if (!is_plain_name(name) || name == kManifestName || name == kWriterName) {
      throw CheckpointError(path + ": " + printable(name) + " cannot be a file of a checkpoint");
    }
    files.emplace(name, parse_file(value, path + ": file " + name));
  }
  for (const auto& [name, value] : tensor_members.items()) {
    tensors.emplace(name, parse_tensor(value, path + ": tensor " + printable(name)));
  }
}

std::string format_manifest(const Manifest& manifest) {
  Json json = records_to_json(manifest.files, manifest.tensors);
  json["format"] = kFormatName;
  json["format_version"] = kFormatVersion;
  json["block_bytes"] = kBlockBytes;
  json["step"] = manifest.step;
  json["sampler_version"] = manifest.sampler_version;
  json["data_fingerprint"] = manifest.data_fingerprint;
  json["configuration"] = manifest.configuration;
  return seal_json(json, kManifestName);
}

Manifest parse_manifest(std::string_view text, const std::string& path) {
  if (text.size() > kLargestManifest) {
    throw CheckpointError(
        fmt::format("{}: {} bytes, expected at most {}", path, text.size(), kLargestManifest));
  }
  const Json json = open_sealed_json(text, path);
  if (string_member(json, "format", path) != kFormatName) {
    throw CheckpointError(fmt::format("{}: \"format\" is not {}", path, kFormatName));
  }
  const std::uint64_t version = unsigned_member(json, "format_version", path);
  if (version == 0 || version > kFormatVersion) {
    throw CheckpointError(
        fmt::format("{}: written in format {}, this program reads up to {}: use a newer program",
                    path, version, kFormatVersion));
  }
  if (unsigned_member(json, "block_bytes", path) != kBlockBytes) {
    throw CheckpointError(fmt::format("{}: \"block_bytes\" is not {}", path, kBlockBytes));
  }
  Manifest manifest;
  const std::uint64_t step = unsigned_member(json, "step", path);
  const std::uint64_t sampler = unsigned_member(json, "sampler_version", path);
  if (!std::in_range<std::int64_t>(step) || !std::in_range<std::int32_t>(sampler)) {
    throw CheckpointError(path + ": \"step\" or \"sampler_version\" is out of range");
  }
  manifest.step = static_cast<std::int64_t>(step);
  manifest.sampler_version = static_cast<std::int32_t>(sampler);
  manifest.data_fingerprint = string_member(json, "data_fingerprint", path);
  manifest.configuration = string_member(json, "configuration", path);
  records_from_json(json, path, manifest.files, manifest.tensors);
  if (!manifest.files.contains(kTrainerStateName)) {
    throw CheckpointError(
        fmt::format("{}: {} is missing among its files", path, kTrainerStateName));
  }
  check_cover(manifest, path);
  return manifest;
}

}  // namespace sbm::distributed::checkpoint
