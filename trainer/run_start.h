#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "trainer/config.pb.h"
#include "trainer/run_folder.h"
#include "trainer/train.h"

// What is checked before anything is generated or built.
namespace sbm::trainer {

/// Collective. Throws ConfigError when a rank has another configuration than rank 0.
void require_equal_configurations(distributed::Communicator& communicator, const Config& config);

/// Collective; the caller holds the run's lock. The checkpoint that the run goes on from, or
/// nothing for a fresh start; damaged ones that were passed over are told in `warnings`. Throws
/// ConfigError when the request would mix two runs in one folder, CheckpointError when none is
/// sound.
std::optional<std::filesystem::path> choose_checkpoint(distributed::Communicator& communicator,
                                                       const TrainRequest& request,
                                                       const RunFolder& folder,
                                                       std::vector<std::string>& warnings);

/// A run that goes on keeps the configuration it began with: throws ConfigError listing every field
/// that differs although it must not.
void require_same_run(const std::filesystem::path& checkpoint, const Config& config);

/// Collective. The bits of a run belong to the threads a rank: what to warn of when the ranks that
/// wrote the checkpoint had other ones than those that go on; empty when all had the same.
std::string warn_of_other_threads(distributed::Communicator& communicator,
                                  const std::filesystem::path& checkpoint);

}  // namespace sbm::trainer
