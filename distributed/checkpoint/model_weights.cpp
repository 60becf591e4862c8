#include "distributed/checkpoint/model_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <system_error>

#include "base/content_hash.h"
#include "base/error.h"
#include "distributed/checkpoint/checkpoint_reader.h"
#include "distributed/checkpoint/printable.h"

namespace sbm::distributed::checkpoint {
namespace {

constexpr std::uint64_t kReadBytes = std::uint64_t{4} << 20;

/// Where bytes [begin, end) of a file go.
struct Part {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::byte* place = nullptr;
};

bool is_folder(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw CheckpointError(path.string() +
                          ": expected a checkpoint or a safetensors file, found nothing");
  }
  return std::filesystem::is_directory(status);
}

File open_named(FileSystem& system, const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) throw FileError("resolve", path.string(), error.value());
  return Directory::open(system, real.parent_path()).open_file(real.filename().string());
}

std::string text_of(const SafetensorsHeader& header, const char* key) {
  const auto found = header.metadata.find(key);
  return found == header.metadata.end() ? std::string() : found->second;
}

void require_fitting(const std::string& where, const std::string& name, DataType type,
                     std::uint64_t bytes, std::span<float> destination) {
  if (type == DataType::kF32 && bytes >= destination.size_bytes()) return;
  throw CheckpointError(
      fmt::format("{}: tensor {}: expected at least {} elements of F32, found {} "
                  "bytes of {}",
                  where, printable(name), destination.size(), bytes, data_type_name(type)));
}

void require_present(const std::string& where, const std::string& name, bool present) {
  if (present) return;
  throw CheckpointError(fmt::format("{}: expected a tensor {}, found none", where, name));
}

std::string read_file_weights(const File& file,
                              const std::map<std::string, std::span<float>>& destinations) {
  const SafetensorsHeader header = read_safetensors_header(file);
  std::vector<Part> parts;  // by offset, as the tensors are
  for (const TensorInfo& tensor : header.tensors) {
    const auto wanted = destinations.find(tensor.name);
    if (wanted == destinations.end()) continue;
    const std::span<float> values = wanted->second;
    require_fitting(file.path(), tensor.name, tensor.type, tensor.end - tensor.begin, values);
    const std::uint64_t begin = header.buffer_begin + tensor.begin;
    parts.push_back({begin, begin + values.size_bytes(), std::as_writable_bytes(values).data()});
  }
  if (parts.size() != destinations.size()) {
    for (const auto& [name, values] : destinations) {
      require_present(file.path(), name, std::ranges::any_of(header.tensors, [&](const auto& one) {
                        return one.name == name;
                      }));
    }
  }
  ContentHasher hasher;
  std::vector<std::byte> buffer(kReadBytes);
  auto part = parts.begin();
  for (std::uint64_t at = 0; at < file.size(); at += kReadBytes) {
    const auto bytes = std::span(buffer).first(std::min(kReadBytes, file.size() - at));
    file.read(at, bytes);
    hasher.update(bytes);
    const std::uint64_t end = at + bytes.size();
    while (part != parts.end() && part->begin < end) {
      const std::uint64_t first = std::max(at, part->begin);
      const std::uint64_t last = std::min(end, part->end);
      if (first < last) {
        std::memcpy(part->place + (first - part->begin), bytes.data() + (first - at), last - first);
      }
      if (part->end > end) break;
      ++part;
    }
  }
  return hasher.digest().hex();
}

std::string read_checkpoint_weights(CheckpointReader& reader,
                                    const std::map<std::string, std::span<float>>& destinations) {
  const std::string where = reader.path().string();
  for (const auto& [name, values] : destinations) {
    const auto found = reader.manifest().tensors.find(name);
    require_present(where, name, found != reader.manifest().tensors.end());
    const TensorRecord& tensor = found->second;
    require_fitting(where, name, tensor.type, tensor.end - tensor.begin, values);
    std::byte* place = std::as_writable_bytes(values).data();
    reader.read_tensor(name, 0, values.size_bytes(),
                       [&](std::uint64_t offset, std::span<const std::byte> bytes) {
                         std::memcpy(place + offset, bytes.data(), bytes.size());
                       });
  }
  return reader.identity().hex();
}

}  // namespace

ModelWeights inspect_weights(const std::filesystem::path& path, FileSystem& system) {
  ModelWeights weights;
  if (is_folder(path)) {
    const CheckpointReader reader(Directory::open(system, path));
    for (const auto& [name, tensor] : reader.manifest().tensors) {
      if (!is_moment(name)) weights.tensors.push_back({name, tensor.type, tensor.shape});
    }
    weights.configuration = reader.manifest().configuration;
    weights.trainer_state = reader.read_text(kTrainerStateName);
    return weights;
  }
  const SafetensorsHeader header = read_safetensors_header(open_named(system, path));
  for (const TensorInfo& tensor : header.tensors) {
    weights.tensors.push_back({tensor.name, tensor.type, tensor.shape});
  }
  std::ranges::sort(weights.tensors, {}, &ModelWeights::Tensor::name);
  weights.configuration = text_of(header, kConfigurationKey);
  weights.trainer_state = text_of(header, kTrainerStateKey);
  return weights;
}

std::string read_weights(const std::filesystem::path& path,
                         const std::map<std::string, std::span<float>>& destinations,
                         FileSystem& system) {
  if (!is_folder(path)) return read_file_weights(open_named(system, path), destinations);
  CheckpointReader reader(Directory::open(system, path));
  return read_checkpoint_weights(reader, destinations);
}

}  // namespace sbm::distributed::checkpoint
