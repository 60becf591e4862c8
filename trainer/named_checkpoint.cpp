#include "trainer/named_checkpoint.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "distributed/checkpoint/checkpoint.h"
#include "kernels/sampling.h"
#include "trainer/config.h"
#include "trainer/run_folder.h"
#include "trainer/trainer_state.h"

namespace sbm::trainer {
namespace {

namespace checkpoint = distributed::checkpoint;

}  // namespace

std::filesystem::path find_checkpoint(const std::filesystem::path& path) {
  const std::filesystem::path named = plain_path(path);
  if (!std::filesystem::is_directory(named)) {
    throw CheckpointError(named.string() + ": expected a run folder or a checkpoint, found " +
                          (std::filesystem::exists(named) ? "a file" : "nothing"));
  }
  const std::filesystem::path inner = named / "checkpoints";
  const bool is_run = std::filesystem::is_directory(inner);
  const std::vector<checkpoint::Found> found = checkpoint::list(is_run ? inner : named);
  if (found.empty()) {
    if (is_run) throw CheckpointError(inner.string() + ": expected a checkpoint, found none");
    return named;
  }
  if (is_run) {
    // The newest sound checkpoint knows which one was the best.
    for (const checkpoint::Found& newest : found) {
      try {
        const TrainerState state =
            trainer_state_from_json(checkpoint::inspect(newest.folder).trainer_state);
        for (const checkpoint::Found& candidate : found) {
          if (candidate.step == state.best_step) return candidate.folder;
        }
        return newest.folder;
      } catch (const CheckpointError&) {
        continue;
      }
    }
  }
  return found.front().folder;
}

std::filesystem::path find_weights(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    throw CheckpointError(path.string() +
                          ": expected a run folder, a checkpoint or a safetensors file, found "
                          "nothing");
  }
  return std::filesystem::is_directory(path) ? find_checkpoint(path) : path;
}

Config checkpoint_configuration(const std::filesystem::path& folder) {
  return parse_config(checkpoint::inspect(folder).configuration,
                      (folder / "MANIFEST.json").string());
}

void require_sampler_version(const std::filesystem::path& folder, std::int32_t version) {
  if (version == kernels::kSamplerVersion) return;
  throw CheckpointError(folder.string() + ": expected masks of sampler version " +
                        std::to_string(kernels::kSamplerVersion) + ", found version " +
                        std::to_string(version) +
                        "; training.initialize_from still takes its weights into a new run");
}

}  // namespace sbm::trainer
