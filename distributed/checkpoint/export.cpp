#include <fmt/format.h>
#include <unistd.h>

#include "distributed/checkpoint/checkpoint.h"
#include "distributed/checkpoint/checkpoint_reader.h"
#include "distributed/checkpoint/model_weights.h"
#include "distributed/checkpoint/tensor_file_writer.h"

namespace sbm::distributed::checkpoint {
namespace {

// Whoever asked for the file decides by umask who reads it.
constexpr mode_t kExportMode = 0666;

void write_model(CheckpointReader& reader, const Directory& parent, const std::string& name) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [tensor_name, tensor] : reader.manifest().tensors) {
    if (!is_moment(tensor_name)) tensors.push_back({tensor_name, tensor.type, tensor.shape});
  }
  sort_for_writing(tensors);
  std::map<std::string, std::string> metadata = tensor_file_metadata(reader.manifest().step);
  metadata[kConfigurationKey] = reader.manifest().configuration;
  metadata[kTrainerStateKey] = reader.read_text(kTrainerStateName);
  TensorFileWriter writer(parent, name, tensors, metadata, kExportMode);
  for (const TensorToWrite& tensor : tensors) {
    const TensorRecord& record = reader.manifest().tensors.at(tensor.name);
    reader.read_tensor(
        tensor.name, 0, record.end - record.begin,
        [&](std::uint64_t, std::span<const std::byte> bytes) { writer.append(bytes); });
  }
  writer.finish();
}

}  // namespace

void export_model(const std::filesystem::path& folder, const std::filesystem::path& out,
                  FileSystem& system) {
  const std::string name = out.filename().string();
  if (name.empty() || name == "." || name == "..") {
    throw CheckpointError(out.string() + ": expected the path of a file to write");
  }
  CheckpointReader reader(Directory::open(system, folder));
  const Directory parent = Directory::open(system, out.has_parent_path() ? out.parent_path() : ".");
  if (parent.exists(name)) throw CheckpointError(out.string() + ": exists already");
  const std::string temporary = fmt::format("sbm-export.tmp.{}", ::getpid());
  try {
    write_model(reader, parent, temporary);
    parent.rename(temporary, name);
  } catch (const std::exception&) {
    try {
      if (parent.exists(temporary)) parent.remove_file(temporary);
    } catch (const CheckpointError&) {
      // The first error says more.
    }
    throw;
  }
  parent.sync();
}

}  // namespace sbm::distributed::checkpoint
