#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "distributed/checkpoint/model_weights.h"
#include "distributed/communicator.h"
#include "distributed/flat_layout.h"
#include "trainer/config.pb.h"
#include "trainer/parameters.h"

// Fine-tuning: a run that starts from the encoder of another model (training.initialize_from).
namespace sbm::trainer {

/// What a model takes of another one's weights.
struct WeightPlan {
  /// Elements taken, from the first one on, by name: all of the parameter but for positions.
  std::map<std::string, std::int64_t> taken;
  std::vector<std::string> left;      ///< tensors there that this model has no use for
  std::vector<std::string> fresh;     ///< parameters here that start at random
  std::vector<std::string> problems;  ///< why the other model does not fit; empty when it does
};

/// Every parameter of the encoder is taken, and must be there in the same shape, but for
/// - position embeddings: the first rows are taken, as many as both have; further ones start anew,
/// - segment embeddings, cluster embeddings and the membership MLP, which may be missing on either
///   side.
/// A head is taken by masked language from masked language only; any other starts anew.
WeightPlan plan_weights(const std::vector<distributed::checkpoint::ModelWeights::Tensor>& there,
                        const distributed::FlatLayout& here, const ModelShape& shape);

/// Collective. The configuration of a run with training.initialize_from_hash filled in: from the
/// checkpoint when it goes on from one (nothing else is read then), else from the file itself.
/// Throws CheckpointError, on every rank alike, when it is not there, damaged, or has another hash
/// than the configuration says.
Config note_initial_weights(distributed::Communicator& communicator, const Config& config,
                            const std::optional<std::filesystem::path>& resumed);

/// Collective. Puts the weights that training.initialize_from names into `parameters` (rank 0 reads
/// them) and returns what was taken, what was left and what is new, a line each. `vocabulary`: of
/// the run's data. Throws CheckpointError, on every rank alike, listing all that does not fit.
std::string initialize_weights(distributed::Communicator& communicator, const Config& config,
                               const std::string& vocabulary, ModelParameters& parameters);

}  // namespace sbm::trainer
