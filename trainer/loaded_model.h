#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "distributed/communicator.h"
#include "trainer/config.pb.h"
#include "trainer/encoder.h"
#include "trainer/evaluation.h"
#include "trainer/parameters.h"

namespace sbm::trainer {

/// Which model to load, and the data to run it on.
struct LoadRequest {
  std::filesystem::path checkpoint;  ///< from find_checkpoint()
  std::string split = "test";
  /// Folder of the data set; empty: the one the run used.
  std::filesystem::path data_folder;
  std::filesystem::path generated_data_root;  ///< where the run's generated data lie
  /// Told, on rank 0, what takes time.
  std::function<void(const std::string&)> message = [](const std::string&) {};
};

/// A checkpoint's model beside a split of a data set. Data without labels are taken too; the
/// checkpoint then says how many classes there are, and of what.
class LoadedModel {
 public:
  /// Collective. Throws CheckpointError when the checkpoint is damaged, does not fit the data or
  /// was trained with masks of another sampler; DataError when the data are of another task or,
  /// unless the request names them, not those of the run; and as prepare_data() and
  /// Dataset::open().
  LoadedModel(distributed::Communicator& communicator, const LoadRequest& request);
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  /// The run's configuration, data.directory replaced by the request's folder.
  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] const data::Dataset& dataset() const { return dataset_; }
  [[nodiscard]] const Encoder& encoder() const { return encoder_; }
  [[nodiscard]] std::int64_t step() const { return step_; }
  /// How the run evaluated, but for what is given; heartbeat is left empty.
  [[nodiscard]] EvaluationOptions evaluation_options(std::optional<std::int32_t> draws,
                                                     MaskControl mask) const;
  /// By class id; the id in digits where the data name no labels. None of scores and of pieces.
  [[nodiscard]] const std::vector<std::string>& label_names() const { return label_names_; }

 private:
  Config config_;
  std::filesystem::path data_folder_;
  data::Dataset dataset_;
  ModelParameters parameters_;
  std::int64_t step_ = 0;
  Encoder encoder_;
  std::vector<std::string> label_names_;
};

}  // namespace sbm::trainer
