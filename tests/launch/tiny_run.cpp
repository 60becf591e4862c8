#include "tests/launch/tiny_run.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace sbm::launch {
namespace {

constexpr const char* kConfiguration = R"(
task { name: "lra/listops" }
data {
  listops {
    train_samples: 400 validation_samples: 40 test_samples: 50
    max_depth: 3 max_arguments: 4 min_length: 6 max_length: 40
  }
}
model {
  layers: 2 heads: 2 head_dim: 8 embedding_dim: 16 feed_forward_dim: 32 max_length: 40 dropout: 0.1
  attention { clusters: 8 dropout: 0.1 density_weight: 0.001 }
}
training {
  steps: 40 global_batch_size: 24 micro_batch_size: 6 learning_rate: 2e-3 warmup_steps: 5
  evaluate_every: 20 log_every: 5
}
checkpoint { every_steps: 20 keep_last: 10 }
runtime { threads: 1 timeout_seconds: 60 }
)";

}  // namespace

std::vector<std::string> mpirun(int ranks) {
  ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  ::setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 1);
  return {"mpirun", "-q", "--oversubscribe", "--bind-to", "none", "-n", std::to_string(ranks)};
}

TinyRun::TinyRun(const std::filesystem::path& folder)
    : folder_(folder), configuration_(folder / "tiny.textproto") {
  std::ofstream(configuration_) << kConfiguration;
}

std::vector<std::string> TinyRun::train(int ranks, const std::string& run_name,
                                        const std::vector<std::string>& more) const {
  std::vector<std::string> command;
  if (ranks > 0) command = mpirun(ranks);
  for (const std::string& word :
       {std::string(SBM_PROGRAM), std::string("train"), "--config=" + configuration_.string(),
        "--run-dir=" + run_folder(run_name).string()}) {
    command.push_back(word);
  }
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

std::filesystem::path TinyRun::run_folder(const std::string& run_name) const {
  return folder_ / "runs" / run_name;
}

std::filesystem::path TinyRun::checkpoint(const std::string& run_name, int step) const {
  std::string digits = std::to_string(step);
  digits.insert(0, 9 - digits.size(), '0');
  return run_folder(run_name) / "checkpoints" / ("step-" + digits);
}

std::map<std::string, std::string> promised_bytes(const std::filesystem::path& checkpoint) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoint)) {
    const std::string name = entry.path().filename().string();
    if (name == "writer.json") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    files[name] = text.str();
  }
  return files;
}

void flip_byte(const std::filesystem::path& file, std::uintmax_t offset) {
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekg(static_cast<std::streamoff>(offset));
  const int byte = stream.get();
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(static_cast<char>(byte ^ 0x10));
}

}  // namespace sbm::launch
