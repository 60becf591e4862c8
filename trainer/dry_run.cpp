#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "distributed/checkpoint/checkpoint.h"
#include "trainer/run_folder.h"
#include "trainer/run_start.h"
#include "trainer/task_data.h"
#include "trainer/train.h"
#include "trainer/training_run.h"

namespace sbm::trainer {
namespace {

// A folder beside the run's, so that the disk that is tried is the disk that will be used; removed
// whatever happens.
class TrialFolder {
 public:
  TrialFolder(distributed::Communicator& communicator, const std::filesystem::path& run_directory)
      : owner_(communicator.rank() == 0),
        path_(plain_path(std::filesystem::absolute(run_directory)).string() + ".dry-run-" +
              make_run_id(communicator)) {}
  ~TrialFolder() {
    std::error_code ignored;
    if (owner_) std::filesystem::remove_all(path_, ignored);
  }
  TrialFolder(const TrialFolder&) = delete;
  TrialFolder& operator=(const TrialFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  bool owner_;
  std::filesystem::path path_;
};

}  // namespace

std::string dry_run(distributed::Communicator& communicator, const TrainRequest& request) {
  require_equal_configurations(communicator, request.config);
  const auto present =
      distributed::checkpoint::list(RunFolder(request.run_directory).checkpoints());
  if (request.resume == Resume::kAuto && !present.empty()) {
    require_same_run(present.front().folder, request.config);
  }
  const TrialFolder trial(communicator, request.run_directory);
  const RunFolder folder(trial.path() / "run");
  folder.create(communicator);
  data::BuildRequest data = build_request(request.config);
  const auto root = generated_data_root(request.run_directory);
  const bool there = std::filesystem::exists(root / data::default_folder_name(data));
  const auto data_folder =
      prepare_data(communicator, request.config, there ? root : trial.path() / "datasets",
                   [](const std::string&) {});
  TrainingRun run(communicator, request, folder, data_folder);
  std::string text = run.description() + "\n";
  for (int i = 0; i < 2; ++i) {
    const StepStatistics step = run.step();
    text += fmt::format("step {}      loss {:.4f}, gradient norm {:.3g}, density {:.2f} %\n",
                        run.state().step, step.totals.mean_loss(), step.gradient_norm,
                        100.0 * step.totals.density());
  }
  run.save(make_run_id(communicator));
  communicator.barrier()->wait();  // nobody reads the trial folder any more
  return text + "dry run     everything works; nothing was left behind\n";
}

}  // namespace sbm::trainer
