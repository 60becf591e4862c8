#pragma once

#include <cstdint>
#include <filesystem>

#include "trainer/config.pb.h"

namespace sbm::trainer {

/// The checkpoint that a person means by a run folder (its best one, else its newest), a
/// checkpoints folder (the newest) or a checkpoint's own folder. Throws CheckpointError when there
/// is none.
std::filesystem::path find_checkpoint(const std::filesystem::path& path);

/// What a person means by a model to start from: a file as it is, else as find_checkpoint().
std::filesystem::path find_weights(const std::filesystem::path& path);

/// The configuration inside a checkpoint. Throws CheckpointError or ConfigError.
Config checkpoint_configuration(const std::filesystem::path& checkpoint);

/// Throws CheckpointError unless this program draws the masks that the checkpoint was trained with.
void require_sampler_version(const std::filesystem::path& checkpoint, std::int32_t version);

}  // namespace sbm::trainer
