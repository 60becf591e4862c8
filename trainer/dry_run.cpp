#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "distributed/checkpoint/checkpoint.h"
#include "trainer/initial_weights.h"
#include "trainer/run_folder.h"
#include "trainer/run_start.h"
#include "trainer/task_data.h"
#include "trainer/train.h"
#include "trainer/training_run.h"

namespace sbm::trainer {
namespace {

// Where data that are there already lie, or the trial folder. Only generated data have a name to
// look for: that of others would ask for their source files.
std::filesystem::path data_root(const Config& config, const std::filesystem::path& run_directory,
                                const std::filesystem::path& trial) {
  if (config.data().directory().empty()) {
    const auto root = generated_data_root(run_directory);
    std::error_code ignored;  // preparing the data says what is wrong with the place
    const auto folder = root / data::default_folder_name(build_request(config));
    if (std::filesystem::exists(folder, ignored)) return root;
  }
  return trial / "datasets";
}

}  // namespace

std::string dry_run(distributed::Communicator& communicator, const TrainRequest& request,
                    TrialFolder& trial) {
  require_equal_configurations(communicator, request.config);
  const auto present =
      distributed::checkpoint::list(RunFolder(request.run_directory).checkpoints());
  std::optional<std::filesystem::path> resumed;
  if (request.resume == Resume::kAuto && !present.empty()) resumed = present.front().folder;
  if (request.resume == Resume::kPath) resumed = request.resume_path;
  TrainRequest begun = request;
  begun.config = note_initial_weights(communicator, request.config, resumed);
  if (resumed) require_same_run(*resumed, begun.config);
  const std::filesystem::path place = trial.make(communicator);
  const RunFolder folder(place / "run");
  folder.create(communicator);
  const auto data_folder = prepare_data(communicator, request.config,
                                        data_root(request.config, request.run_directory, place),
                                        [](const std::string&) {});
  TrainingRun run(communicator, begun, folder, data_folder);
  std::string text = run.description() + "\n";
  if (!resumed && !begun.config.training().initialize_from().empty())
    text += run.initialize() + "\n";
  for (int i = 0; i < 2; ++i) {
    const StepStatistics step = run.step();
    text += fmt::format("step {}      loss {:.4f}, gradient norm {:.3g}, density {:.2f} %\n",
                        run.state().step, step.totals.mean_loss(), step.gradient_norm,
                        100.0 * step.totals.density());
  }
  run.save(make_run_id(communicator));
  communicator.barrier()->wait();  // nobody reads the trial folder any more
  return text;
}

}  // namespace sbm::trainer
