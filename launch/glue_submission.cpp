#include "launch/glue_submission.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/error.h"
#include "launch/prediction_output.h"
#include "launch/print_json.h"
#include "launch/runtime.h"
#include "trainer/loaded_model.h"
#include "trainer/mask_control.h"
#include "trainer/named_checkpoint.h"
#include "trainer/prediction.h"
#include "trainer/submission.h"
#include "trainer/zip_archive.h"

namespace sbm::launch {
namespace {

/// A file of the archive and the model that fills it.
struct Job {
  const trainer::SubmissionFile* file;
  trainer::LoadRequest load;
};

void require_options_that_fit(const GlueSubmission& request) {
  if (request.split_given) {
    throw ConfigError("--split: expected none with an archive, which takes every test split");
  }
  if (!request.model.data_folder.empty() && request.model.checkpoints.size() > 1) {
    throw ConfigError(
        "--data: expected one --checkpoint with it, found several, which have data of "
        "their own");
  }
}

std::string task_of(const trainer::LoadRequest& load) {
  return trainer::checkpoint_configuration(load.checkpoint).task().name();
}

// In the benchmark's order, whatever that of the command line.
std::vector<Job> plan(const GlueSubmission& request) {
  require_options_that_fit(request);
  std::vector<Job> jobs;
  const auto add = [&](const trainer::LoadRequest& load, const std::string& task) {
    const std::size_t before = jobs.size();
    for (const trainer::SubmissionFile& file : trainer::submission_files()) {
      if (file.task != task) continue;
      for (const Job& job : jobs) {
        if (job.file != &file) continue;
        throw ConfigError(fmt::format("--checkpoint: expected one run of {}, found {} and {}", task,
                                      job.load.checkpoint.string(), load.checkpoint.string()));
      }
      jobs.push_back({&file, load});
      jobs.back().load.split = file.split;
    }
    if (jobs.size() > before) return;
    throw ConfigError(
        fmt::format("--submission: expected runs of GLUE's tasks, found that {} is "
                    "one of {}",
                    load.checkpoint.string(), task));
  };
  std::optional<trainer::LoadRequest> inference;
  for (const std::string& checkpoint : request.model.checkpoints) {
    const trainer::LoadRequest load = load_request(request.model, checkpoint);
    const std::string task = task_of(load);
    add(load, task);
    if (task == "glue/mnli") inference = load;
  }
  if (!request.diagnostic.empty()) {
    if (!inference) {
      throw ConfigError("--diagnostic: expected a run of glue/mnli among --checkpoint, found none");
    }
    inference->data_folder = request.diagnostic;
    add(*inference, "glue/ax");
  }
  std::ranges::sort(jobs, {}, &Job::file);  // the files lie in one list
  return jobs;
}

std::vector<std::string> missing_files(const std::vector<Job>& jobs) {
  std::vector<std::string> missing;
  for (const trainer::SubmissionFile& file : trainer::submission_files()) {
    const bool there = std::ranges::any_of(jobs, [&](const Job& job) { return job.file == &file; });
    if (!there) missing.emplace_back(file.name);
  }
  return missing;
}

void warn(const std::string& text) { std::cerr << "warning: " << text << "\n"; }

}  // namespace

int write_glue_submission(Session& session, const GlueSubmission& request) {
  const trainer::MaskControl mask = trainer::parse_mask_control(request.model.mask);
  const std::vector<Job> jobs = plan(request);
  distributed::Communicator& communicator = session.communicator();
  const bool first = communicator.rank() == 0;
  std::optional<PredictionOutput> output;
  if (first) output.emplace("--submission", request.out);
  Runtime runtime(communicator, runtime_settings(request.model));
  const auto heartbeat = runtime.heartbeat();
  std::vector<trainer::ZipEntry> entries;
  nlohmann::json files = nlohmann::json::array();
  for (const Job& job : jobs) {
    const trainer::LoadedModel model(communicator, job.load);
    const std::string warning = trainer::check_submission_rows(*job.file, model.dataset());
    if (first && !warning.empty()) warn(warning);
    trainer::EvaluationOptions options = model.evaluation_options(request.model.draws, mask);
    options.heartbeat = [&] { heartbeat(model.step(), "prediction"); };
    std::string text(trainer::kSubmissionHeader);
    trainer::predict(communicator, model.encoder(), model.dataset(), model.label_names(), options,
                     [&](std::string_view lines) { text += trainer::submission_rows(lines); });
    files.push_back({{"file", job.file->name},
                     {"task", job.file->task},
                     {"split", job.file->split},
                     {"checkpoint", job.load.checkpoint.string()},
                     {"step", model.step()},
                     {"samples", model.dataset().size()}});
    entries.push_back({std::string(job.file->name), std::move(text)});
  }
  if (!first) return kDone;
  output->write(trainer::zip_archive(entries));
  output->finish();
  const std::vector<std::string> missing = missing_files(jobs);
  if (!missing.empty()) {
    warn(fmt::format("{}: the server takes eleven files at once, this archive lacks {}",
                     request.out.string(), fmt::join(missing, ", ")));
  }
  if (request.json) {
    print_json({{"out", request.out.string()}, {"files", files}, {"missing", missing}});
  } else {
    for (const auto& file : files) {
      std::cout << fmt::format(
          "{:<11} {} {}: {} samples predicted by {}\n", file["file"].get<std::string>(),
          file["task"].get<std::string>(), file["split"].get<std::string>(),
          file["samples"].get<std::uint64_t>(), file["checkpoint"].get<std::string>());
    }
    std::cout << request.out.string() << "\n";
  }
  return kDone;
}

}  // namespace sbm::launch
