#include <nlohmann/json.hpp>

#include "distributed/checkpoint/checkpoint.h"
#include "distributed/checkpoint/checkpoint_reader.h"

namespace sbm::distributed::checkpoint {

Inspection inspect(const std::filesystem::path& folder, FileSystem& system) {
  const CheckpointReader reader(Directory::open(system, folder));
  const Manifest& manifest = reader.manifest();
  Inspection inspection;
  inspection.step = manifest.step;
  inspection.sampler_version = manifest.sampler_version;
  inspection.data_fingerprint = manifest.data_fingerprint;
  inspection.configuration = manifest.configuration;
  inspection.trainer_state = reader.read_text(kTrainerStateName);
  inspection.writer = reader.read_writer().dump();
  for (const auto& [name, file] : manifest.files) {
    inspection.bytes += file.bytes;
    inspection.files.push_back({name, file.bytes, file.hash.hex()});
  }
  for (const auto& [name, tensor] : manifest.tensors) {
    inspection.tensors.push_back(
        {name, std::string(data_type_name(tensor.type)), tensor.shape, tensor.file});
    if (!is_moment(name)) {
      inspection.parameters += (tensor.end - tensor.begin) * 8 / data_type_bits(tensor.type);
    }
  }
  return inspection;
}

}  // namespace sbm::distributed::checkpoint
