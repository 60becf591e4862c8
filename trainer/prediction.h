#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "distributed/communicator.h"
#include "trainer/encoder.h"
#include "trainer/evaluation.h"

namespace sbm::trainer {

/// Collective. Predicts every sample of the split, labelled or not, and hands the answers to
/// `write` on rank 0, in the order of the samples, some whole lines at a time. A line is one JSON
/// object: `sample`, `prediction` (the label's name; of classes equally probable the first) and
/// `probabilities` (by class id, 6 significant digits, averaged over the draws). For a label a
/// token it is `sample` and `predictions`, a name for each of the tokens that the model's
/// max_length kept; for scores `sample` and `prediction`, the mean score. `label_names` are by
/// class id. The bytes do not depend on the world size; rank 0 holds the lines of one window of the
/// split (data::kEvaluationWindow). Throws ConfigError for a masked-language model, which has
/// nothing to say of a sample, DivergenceError when a probability is not a number, and
/// InternalError when the model has another number of classes.
void predict(distributed::Communicator& communicator, const Encoder& encoder,
             const data::Dataset& dataset, const std::vector<std::string>& label_names,
             const EvaluationOptions& options, const std::function<void(std::string_view)>& write);

}  // namespace sbm::trainer
