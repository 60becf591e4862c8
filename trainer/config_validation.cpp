#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>

#include "data/build.h"
#include "trainer/config.h"
#include "trainer/nearest_name.h"
#include "trainer/task_fields.h"

// What a configuration must keep to, field by field and between fields.
namespace sbm::trainer {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Collects what is wrong instead of stopping at the first thing.
class Checker {
 public:
  void whole(const char* path, std::int64_t value, std::int64_t least, std::int64_t most) {
    if (value < least || value > most) {
      std::ostringstream expected;
      expected << "a whole number from " << least << " to " << most;
      wrong(path, expected.str(), std::to_string(value));
    }
  }

  /// A finite number in [least, most), or in (least, most) when `open_below`.
  void number(const char* path, double value, double least, double most, bool open_below = false) {
    const bool above = open_below ? value > least : value >= least;
    if (std::isfinite(value) && above && value < most) return;
    std::ostringstream expected;
    expected << "a finite number " << (open_below ? "above " : "of at least ") << least;
    if (most < kInfinity) expected << " and below " << most;
    wrong(path, expected.str(), text(value));
  }

  /// A number in [0, 1].
  void probability(const char* path, double value) {
    if (!(value >= 0.0 && value <= 1.0)) wrong(path, "a probability from 0 to 1", text(value));
  }

  void wrong(const std::string& path, const std::string& expected, const std::string& found) {
    problems_.push_back(path + ": expected " + expected + ", found " + found);
  }

  void add(const std::vector<std::string>& problems) {
    problems_.insert(problems_.end(), problems.begin(), problems.end());
  }

  [[nodiscard]] std::vector<std::string> take() { return std::move(problems_); }

 private:
  static std::string text(double value) {
    std::ostringstream stream;
    stream << value;
    return stream.str();
  }

  std::vector<std::string> problems_;
};

// Bounds that only keep sizes far from overflow; a machine's memory ends long before them.
constexpr std::int64_t kMostSamples = std::int64_t{1} << 40;
constexpr std::int64_t kMostSteps = std::int64_t{1} << 40;
constexpr std::int64_t kWidest = 1 << 16;
constexpr std::int64_t kLongest = 1 << 24;

void check_masking(const Masking& masking, Checker& checker) {
  if (!(masking.share() > 0.0 && masking.share() <= 1.0)) {
    checker.wrong("task.masking.share", "a number above 0, at most 1",
                  std::to_string(masking.share()));
  }
  checker.whole("task.masking.max_predictions", masking.max_predictions(), 1, kLongest);
}

void check_task(const Config& config, Checker& checker) {
  const std::string& name = config.task().name();
  check_masking(config.task().masking(), checker);
  for (const std::string& known : known_tasks()) {
    if (name != known) continue;
    checker.add(foreign_field_problems(config));
    return;
  }
  checker.wrong("task.name", list_names(known_tasks()),
                (name.empty() ? "nothing" : "\"" + name + "\"") + suggestion(name, known_tasks()));
}

void check_task_needs_no_files(const std::string& task, Checker& checker) {
  const std::vector<std::string> tasks = data::buildable_tasks();
  const bool known = std::find(tasks.begin(), tasks.end(), task) != tasks.end();
  if (!known || data::is_generated(task)) return;
  const bool text = task.starts_with("glue/") || task.starts_with("pretrain/");
  checker.wrong("data.directory",
                "a folder made by `sbm data build --task " + task + " --source FOLDER " +
                    (text ? "--vocab vocab.txt " : "") + "--out FOLDER`, as " + task +
                    " comes from published files",
                "nothing");
}

/// Parameters of generated data count only when data are generated.
void check_data(const Config& config, Checker& checker) {
  if (!config.data().directory().empty()) return;
  check_task_needs_no_files(config.task().name(), checker);
  if (config.task().name() == "lra/listops") {
    const ListOpsData& data = config.data().listops();
    checker.whole("data.listops.train_samples", data.train_samples(), 1, kMostSamples);
    checker.whole("data.listops.validation_samples", data.validation_samples(), 1, kMostSamples);
    checker.whole("data.listops.test_samples", data.test_samples(), 1, kMostSamples);
    checker.whole("data.listops.max_depth", data.max_depth(), 1, 1000);
    checker.whole("data.listops.max_arguments", data.max_arguments(), 2, 1000);
    checker.whole("data.listops.min_length", data.min_length(), 0, kLongest);
    checker.whole("data.listops.max_length", data.max_length(), 2, kLongest);
    if (data.max_length() - std::int64_t{data.min_length()} < 2) {
      checker.wrong("data.listops.max_length",
                    "more than min_length + 1, since lengths lie strictly between the two",
                    std::to_string(data.max_length()) + " with min_length " +
                        std::to_string(data.min_length()));
    }
  }
  if (config.task().name() == "synthetic/repeated-tokens") {
    const RepeatedTokensData& data = config.data().repeated_tokens();
    checker.whole("data.repeated_tokens.train_samples", data.train_samples(), 1, kMostSamples);
    checker.whole("data.repeated_tokens.validation_samples", data.validation_samples(), 1,
                  kMostSamples);
    checker.whole("data.repeated_tokens.test_samples", data.test_samples(), 1, kMostSamples);
    // Ids 1..N are stored in 16 bits, 0 is padding.
    checker.whole("data.repeated_tokens.length", data.length(), 1, 65535);
  }
  if (config.task().name().starts_with("lra/pathfinder")) {
    const PathfinderData& data = config.data().pathfinder();
    checker.whole("data.pathfinder.train_samples", data.train_samples(), 1, kMostSamples);
    checker.whole("data.pathfinder.validation_samples", data.validation_samples(), 1, kMostSamples);
    checker.whole("data.pathfinder.test_samples", data.test_samples(), 1, kMostSamples);
  }
}

void check_attention(const Attention& attention, Checker& checker) {
  const std::string path = "model.attention.";
  checker.whole("model.attention.clusters", attention.clusters(), 1, 256);
  checker.probability("model.attention.exploration", attention.exploration());
  if (!(attention.clip() > 0.0)) {
    checker.wrong(path + "clip", "a number above 0, or inf for no clip",
                  std::to_string(attention.clip()));
  }
  checker.probability("model.attention.probe_rate", attention.probe_rate());
  checker.probability("model.attention.dense_from", attention.dense_from());
  checker.number("model.attention.density_weight", attention.density_weight(), 0.0, kInfinity);
  checker.whole("model.attention.density_start_step", attention.density_start_step(), 0,
                kMostSteps);
  checker.whole("model.attention.density_ramp_steps", attention.density_ramp_steps(), 0,
                kMostSteps);
  checker.number("model.attention.dropout", attention.dropout(), 0.0, 1.0);
  if (attention.type() == Attention::FULL && attention.dropout() > 0.0) {
    checker.wrong(path + "dropout",
                  "0 with attention.type FULL, because LibTorch's own attention draws its dropout "
                  "from a generator that is not keyed to the sample",
                  std::to_string(attention.dropout()));
  }
  if (attention.type() == Attention::FULL && attention.bf16_memberships()) {
    checker.wrong(path + "bf16_memberships",
                  "false with attention.type FULL, which has no memberships", "true");
  }
}

void check_model(const Model& model, Checker& checker) {
  checker.whole("model.layers", model.layers(), 1, 1000);
  checker.whole("model.heads", model.heads(), 1, 1024);
  checker.whole("model.head_dim", model.head_dim(), 1, 4096);
  checker.whole("model.embedding_dim", model.embedding_dim(), 1, kWidest);
  checker.whole("model.feed_forward_dim", model.feed_forward_dim(), 1, 4 * kWidest);
  checker.whole("model.max_length", model.max_length(), 1, kLongest);
  checker.number("model.dropout", model.dropout(), 0.0, 1.0);
  checker.number("model.embedding_std", model.embedding_std(), 0.0, kInfinity);
  checker.whole("model.head_hidden_dim", model.head_hidden_dim(), 0, 4 * kWidest);
  checker.whole("model.pooled_length", model.pooled_length(), 0, kLongest);
  check_attention(model.attention(), checker);
}

void check_initialization(const Training& training, Checker& checker) {
  const std::string& hash = training.initialize_from_hash();
  if (hash.empty()) return;
  const bool digits = hash.size() == 32 && hash.find_first_not_of("0123456789abcdef") == hash.npos;
  if (!digits) {
    checker.wrong("training.initialize_from_hash", "32 hexadecimal digits, or nothing",
                  "\"" + hash + "\"");
  }
  if (training.initialize_from().empty()) {
    checker.wrong("training.initialize_from", "what training.initialize_from_hash is the hash of",
                  "nothing");
  }
}

void check_training(const Training& training, Checker& checker) {
  checker.whole("training.steps", training.steps(), 1, kMostSteps);
  checker.whole("training.stop_at_step", training.stop_at_step(), 0, kMostSteps);
  checker.whole("training.global_batch_size", training.global_batch_size(), 1, 1 << 24);
  checker.whole("training.micro_batch_size", training.micro_batch_size(), 1, 1 << 20);
  if (training.micro_batch_size() > 0 &&
      training.global_batch_size() % training.micro_batch_size() != 0) {
    checker.wrong(
        "training.global_batch_size",
        "a multiple of micro_batch_size (" + std::to_string(training.micro_batch_size()) + ")",
        std::to_string(training.global_batch_size()));
  }
  checker.number("training.learning_rate", training.learning_rate(), 0.0, kInfinity, true);
  checker.whole("training.warmup_steps", training.warmup_steps(), 0, kMostSteps);
  if (training.warmup_steps() > training.steps()) {
    checker.wrong("training.warmup_steps",
                  "at most training.steps (" + std::to_string(training.steps()) + ")",
                  std::to_string(training.warmup_steps()));
  }
  checker.number("training.weight_decay", training.weight_decay(), 0.0, kInfinity);
  checker.number("training.clip_norm", training.clip_norm(), 0.0, kInfinity);
  checker.whole("training.evaluate_every", training.evaluate_every(), 0, kMostSteps);
  checker.whole("training.evaluation_draws", training.evaluation_draws(), 1, 1000);
  checker.whole("training.early_stop_patience", training.early_stop_patience(), 0, 1000000);
  checker.number("training.adam_beta1", training.adam_beta1(), 0.0, 1.0);
  checker.number("training.adam_beta2", training.adam_beta2(), 0.0, 1.0);
  checker.number("training.adam_epsilon", training.adam_epsilon(), 0.0, kInfinity, true);
  checker.whole("training.log_every", training.log_every(), 1, kMostSteps);
  checker.whole("training.length_bucket", training.length_bucket(), 0, kLongest);
  check_initialization(training, checker);
}

void check_runtime(const Config& config, Checker& checker) {
  checker.whole("checkpoint.every_steps", config.checkpoint().every_steps(), 0, kMostSteps);
  checker.whole("checkpoint.keep_last", config.checkpoint().keep_last(), 1, 1000000);
  const Runtime& runtime = config.runtime();
  if (runtime.device() == Runtime::CUDA && config.model().attention().bf16_memberships()) {
    checker.wrong("model.attention.bf16_memberships",
                  "false with runtime.device CUDA: only the CPU's products round memberships",
                  "true");
  }
  if (runtime.device() == Runtime::CUDA) {
    checker.wrong("runtime.device", "AUTO or CPU",
                  "CUDA, on which this version does not compute yet (see sbm doctor)");
  }
  checker.whole("runtime.threads", runtime.threads(), 0, 4096);
  checker.whole("runtime.timeout_seconds", runtime.timeout_seconds(), 1, 7 * 24 * 3600);
  checker.number("runtime.time_limit_minutes", runtime.time_limit_minutes(), 0.0, kInfinity);
}

}  // namespace

std::vector<std::string> config_problems(const Config& config) {
  Checker checker;
  check_task(config, checker);
  check_data(config, checker);
  check_model(config.model(), checker);
  check_training(config.training(), checker);
  check_runtime(config, checker);
  return checker.take();
}

const std::vector<std::string>& known_tasks() {
  static const std::vector<std::string> kTasks = {"lra/listops",
                                                  "lra/text",
                                                  "lra/retrieval",
                                                  "lra/image",
                                                  "lra/pathfinder32",
                                                  "lra/pathfinder64",
                                                  "lra/pathfinder128",
                                                  "lra/pathfinder256",
                                                  "glue/cola",
                                                  "glue/sst-2",
                                                  "glue/mrpc",
                                                  "glue/qqp",
                                                  "glue/sts-b",
                                                  "glue/mnli",
                                                  "glue/qnli",
                                                  "glue/rte",
                                                  "glue/wnli",
                                                  "pretrain/mlm",
                                                  "synthetic/repeated-tokens"};
  return kTasks;
}

}  // namespace sbm::trainer
