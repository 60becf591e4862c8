#include "distributed/checkpoint/checkpoint_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "distributed/checkpoint/folder_names.h"
#include "distributed/checkpoint/printable.h"
#include "distributed/checkpoint/strict_json.h"

namespace sbm::distributed::checkpoint {
namespace {

// JSON files beside the manifest: trainer_state.json and writer.json.
constexpr std::uint64_t kLargestText = std::uint64_t{64} << 20;

[[noreturn]] void throw_mismatch(const File& file, const std::string& part, std::uint64_t begin,
                                 std::uint64_t end, const ContentHash& expected,
                                 const ContentHash& found) {
  throw CheckpointError(
      fmt::format("{}: {}, bytes [{}, {}) of the file: damaged, their hash is {}, the manifest "
                  "says {}",
                  file.path(), part, begin, end, found.hex(), expected.hex()));
}

}  // namespace

CheckpointReader::CheckpointReader(Directory folder) : folder_(std::move(folder)) {
  const std::string path = (folder_.path() / kManifestName).string();
  const std::vector<std::string> names = folder_.names();
  if (!std::binary_search(names.begin(), names.end(), kManifestName)) {
    throw CheckpointError(path + ": missing: this is no complete checkpoint");
  }
  const std::string text = folder_.read_file(kManifestName, kLargestManifest);
  manifest_ = parse_manifest(text, path);
  identity_ = content_hash(std::string_view(text));
  const auto step = parse_step_name(folder_.path().filename().string());
  if (step && *step != manifest_.step) {
    throw CheckpointError(
        fmt::format("{}: is of step {}, its folder of step {}", path, manifest_.step, *step));
  }
  check_files();
}

void CheckpointReader::check_files() const {
  const std::vector<std::string> names = folder_.names();
  std::set<std::string> present(names.begin(), names.end());
  std::string wrong;
  const auto report = [&](const std::string& what) {
    wrong += wrong.empty() ? ": " : "; ";
    wrong += what;
  };
  for (const auto& [name, record] : manifest_.files) {
    if (present.erase(name) == 0) {
      report(name + " is missing");
      continue;
    }
    const std::uint64_t size = folder_.open_file(name).size();
    if (size != record.bytes) {
      report(fmt::format("{} has {} bytes, expected {}", name, size, record.bytes));
    }
  }
  if (present.erase(kWriterName) == 0) report(fmt::format("{} is missing", kWriterName));
  present.erase(kManifestName);
  for (const std::string& name : present) {
    // Network file systems keep deleted files that are still open under such names.
    if (!name.starts_with('.')) report("unexpected " + printable(name));
  }
  if (!wrong.empty()) throw CheckpointError(folder_.path().string() + wrong);
}

std::string CheckpointReader::read_text(const std::string& name) const {
  const auto record = manifest_.files.find(name);
  if (record == manifest_.files.end()) {
    throw CheckpointError(fmt::format("{}: the manifest has no {}", path().string(), name));
  }
  std::string text = folder_.read_file(name, kLargestText);
  const ContentHash found = content_hash(std::string_view(text));
  if (found != record->second.hash) {
    throw CheckpointError(fmt::format(
        "{}: bytes [0, {}) of the file: damaged, their hash is {}, the manifest says {}",
        (path() / name).string(), text.size(), found.hex(), record->second.hash.hex()));
  }
  return text;
}

nlohmann::json CheckpointReader::read_writer() const {
  return open_sealed_json(folder_.read_file(kWriterName, kLargestText),
                          (path() / kWriterName).string());
}

const File& CheckpointReader::open_tensor_file(const std::string& name) {
  const auto found = open_files_.find(name);
  if (found != open_files_.end()) return found->second;
  File file = folder_.open_file(name);
  check_header(file, name);
  return open_files_.emplace(name, std::move(file)).first->second;
}

void CheckpointReader::check_header(const File& file, const std::string& name) const {
  const FileRecord& record = manifest_.files.at(name);
  if (file.size() != record.bytes) {
    throw CheckpointError(
        fmt::format("{}: {} bytes, expected {}", file.path(), file.size(), record.bytes));
  }
  std::vector<std::byte> bytes(record.header_bytes);
  file.read(0, bytes);
  const ContentHash hash = content_hash(bytes);
  if (hash != record.header_hash) {
    throw_mismatch(file, "header", 0, record.header_bytes, record.header_hash, hash);
  }
  const SafetensorsHeader header = read_safetensors_header(file);
  std::size_t expected = 0;
  for (const auto& [tensor_name, tensor] : manifest_.tensors) expected += tensor.file == name;
  bool same = header.buffer_begin == record.header_bytes && header.tensors.size() == expected;
  for (const TensorInfo& info : header.tensors) {
    const auto tensor = manifest_.tensors.find(info.name);
    same = same && tensor != manifest_.tensors.end() && tensor->second.file == name &&
           tensor->second.type == info.type && tensor->second.shape == info.shape &&
           tensor->second.begin == header.buffer_begin + info.begin;
  }
  if (!same) throw CheckpointError(file.path() + ": its header and the manifest contradict");
}

std::span<const std::byte> CheckpointReader::read_block(const File& file,
                                                        const std::string& tensor_name,
                                                        const TensorRecord& tensor,
                                                        std::uint64_t block) {
  const std::uint64_t begin = tensor.begin + block * kBlockBytes;
  const std::uint64_t end = std::min(begin + kBlockBytes, tensor.end);
  buffer_.resize(kBlockBytes);
  const auto bytes = std::span(buffer_).first(end - begin);
  file.read(begin, bytes);
  const ContentHash hash = content_hash(bytes);
  if (hash != tensor.blocks[block]) {
    throw_mismatch(file, "tensor " + printable(tensor_name), begin, end, tensor.blocks[block],
                   hash);
  }
  return bytes;
}

void CheckpointReader::read_tensor(const std::string& name, std::uint64_t begin, std::uint64_t end,
                                   const Sink& sink) {
  const TensorRecord& tensor = manifest_.tensors.at(name);
  const File& file = open_tensor_file(tensor.file);
  for (std::uint64_t block = begin / kBlockBytes; block * kBlockBytes < end; ++block) {
    const auto bytes = read_block(file, name, tensor, block);
    const std::uint64_t base = block * kBlockBytes;
    const std::uint64_t first = std::max(begin, base);
    const std::uint64_t last = std::min<std::uint64_t>(end, base + bytes.size());
    sink(first, bytes.subspan(first - base, last - first));
  }
}

void CheckpointReader::verify_tensor_file(const std::string& name, const FileRecord& record) {
  const File& file = open_tensor_file(name);
  std::vector<std::pair<std::uint64_t, const std::string*>> order;
  for (const auto& [tensor_name, tensor] : manifest_.tensors) {
    if (tensor.file == name) order.emplace_back(tensor.begin, &tensor_name);
  }
  std::sort(order.begin(), order.end());
  ContentHasher hasher;
  std::vector<std::byte> header(record.header_bytes);
  file.read(0, header);
  hasher.update(header);
  for (const auto& [begin, tensor_name] : order) {
    const TensorRecord& tensor = manifest_.tensors.at(*tensor_name);
    for (std::uint64_t block = 0; block < tensor.blocks.size(); ++block) {
      hasher.update(read_block(file, *tensor_name, tensor, block));
    }
  }
  const ContentHash hash = hasher.digest();
  if (hash != record.hash) {
    throw_mismatch(file, "the whole", 0, record.bytes, record.hash, hash);
  }
}

void CheckpointReader::verify() {
  for (const auto& [name, record] : manifest_.files) {
    if (record.header_bytes != 0) {
      verify_tensor_file(name, record);
    } else {
      static_cast<void>(read_text(name));
    }
  }
  static_cast<void>(read_writer());
}

}  // namespace sbm::distributed::checkpoint
