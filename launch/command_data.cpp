#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/build.h"
#include "data/inspect.h"
#include "data/verify.h"
#include "launch/command.h"
#include "launch/one_of.h"
#include "launch/print_json.h"
#include "launch/progress_bar.h"
#include "trainer/config.h"
#include "trainer/task_data.h"

namespace sbm::launch {
namespace {

struct Options {
  std::string task;
  std::string out;
  std::string source;
  std::string folder;
  std::vector<std::string> overrides;
  std::string vocabulary;
  bool cased = false;
  std::int64_t max_length = 0;
  std::int64_t skip_bad_rows = 0;
  int threads = 0;
  bool json = false;
};

nlohmann::json skipped_json(const std::vector<data::SkippedRow>& skipped) {
  nlohmann::json rows = nlohmann::json::array();
  for (const data::SkippedRow& row : skipped) {
    rows.push_back({{"file", row.file}, {"line", row.line}, {"reason", row.reason}});
  }
  return rows;
}

std::string skipped_text(const std::vector<data::SkippedRow>& skipped) {
  std::string text;
  for (const data::SkippedRow& row : skipped) {
    const std::string line = row.line == 0 ? "" : fmt::format(":{}", row.line);
    text += fmt::format("  skipped {}{}: {}\n", row.file, line, row.reason);
  }
  return text;
}

std::string notes_text(const std::vector<std::string>& notes) {
  std::string text;
  for (const std::string& note : notes) text += fmt::format("  note: {}\n", note);
  return text;
}

data::BuildReport build_with_bar(const data::BuildRequest& request) {
  ProgressBar bar([](std::uint64_t done, std::uint64_t total) {
    return total == 0 ? fmt::format("{} samples", done)
                      : fmt::format("{} of {} samples", done, total);
  });
  return data::build_dataset(
      request, [&bar](const data::BuildProgress& done) { bar.show("", done.samples, done.total); });
}

int run_build(const Options& options) {
  trainer::Config config;
  config.mutable_task()->set_name(options.task);
  trainer::throw_problems(trainer::apply_build_overrides(config, options.overrides), "data build");
  data::BuildRequest request = trainer::build_request(config);
  request.out = options.out;
  request.source = options.source;
  request.threads = options.threads;
  request.vocabulary = options.vocabulary;
  request.lower_case = !options.cased;
  request.max_length = options.max_length;
  request.skip_bad_rows = options.skip_bad_rows;
  const data::BuildReport report = build_with_bar(request);
  nlohmann::json splits = nlohmann::json::object();
  for (const auto& split : report.splits) {
    splits[split.name] = {{"samples", split.samples}, {"bytes", split.bytes}};
  }
  if (options.json) {
    print_json({{"folder", report.folder.string()},
                {"reused", report.reused},
                {"fingerprint", report.fingerprint},
                {"splits", splits},
                {"skipped", skipped_json(report.skipped)},
                {"notes", report.notes}});
    return kDone;
  }
  std::cout << fmt::format("{} {}\n", report.reused ? "already there:" : "built",
                           report.folder.string());
  for (const auto& split : report.splits) {
    std::cout << fmt::format("  {:<12} {:>10} samples {:>12} bytes\n", split.name, split.samples,
                             split.bytes);
  }
  std::cout << skipped_text(report.skipped) << notes_text(report.notes);
  return kDone;
}

std::string label_kind_name(data::LabelKind kind) {
  switch (kind) {
    case data::LabelKind::kNone:
      return "none";
    case data::LabelKind::kClass:
      return "class";
    case data::LabelKind::kPerToken:
      return "per token";
    case data::LabelKind::kScore:
      return "score";
  }
  throw InternalError("no such kind of label");
}

nlohmann::json as_json(const data::DatasetSummary& summary) {
  nlohmann::json splits = nlohmann::json::object();
  for (const data::SplitSummary& split : summary.splits) {
    nlohmann::json shards = nlohmann::json::array();
    for (const auto& shard : split.shards) {
      shards.push_back({{"file", shard.file},
                        {"samples", shard.samples},
                        {"bytes", shard.bytes},
                        {"xxh3_128", shard.xxh3_128}});
    }
    nlohmann::json scores = nullptr;
    if (summary.label_kind == data::LabelKind::kScore && split.labelled) {
      scores = {{"min", split.scores.min}, {"mean", split.scores.mean}, {"max", split.scores.max}};
    }
    splits[split.name] = {{"samples", split.samples},
                          {"tokens", split.tokens},
                          {"length",
                           {{"min", split.lengths.min},
                            {"mean", split.lengths.mean},
                            {"median", split.lengths.median},
                            {"max", split.lengths.max}}},
                          {"label_counts", split.label_counts},
                          {"majority_share", split.majority_share},
                          {"labelled", split.labelled},
                          {"scores", scores},
                          {"shards", shards}};
  }
  nlohmann::json parameters = nlohmann::json::object();
  for (const auto& [name, value] : summary.recipe.parameters) parameters[name] = value;
  nlohmann::json sources = nlohmann::json::array();
  for (const data::SourceDescription& source : summary.recipe.sources) {
    sources.push_back(
        {{"name", source.name}, {"bytes", source.bytes}, {"xxh3_128", source.xxh3_128}});
  }
  return {{"folder", summary.folder.string()},
          {"task", summary.recipe.task},
          {"generator", summary.recipe.generator},
          {"parameters", parameters},
          {"sources", sources},
          {"fingerprint", summary.fingerprint},
          {"label_kind", label_kind_name(summary.label_kind)},
          {"label_names", summary.label_names},
          {"vocabulary_size", summary.vocabulary_size},
          {"pairs", summary.pairs},
          {"splits", splits},
          {"skipped", skipped_json(summary.skipped)},
          {"notes", summary.notes}};
}

std::string labels_text(const data::DatasetSummary& summary, const data::SplitSummary& split) {
  if (!split.labelled) return "unlabelled";
  if (summary.label_kind == data::LabelKind::kScore) {
    return fmt::format("scores {:.3f} to {:.3f}, mean {:.3f}", split.scores.min, split.scores.max,
                       split.scores.mean);
  }
  std::string text = fmt::format("majority {:.2f} %; labels", 100.0 * split.majority_share);
  for (std::size_t id = 0; id < split.label_counts.size(); ++id) {
    text += fmt::format(" {}:{}", id < summary.label_names.size() ? summary.label_names[id] : "?",
                        split.label_counts[id]);
  }
  return text;
}

std::string as_text(const data::DatasetSummary& summary) {
  std::string text =
      fmt::format("{}\n  task         {}\n  generator    {}\n", summary.folder.string(),
                  summary.recipe.task, summary.recipe.generator);
  for (const auto& [name, value] : summary.recipe.parameters) {
    text += fmt::format("    {} = {}\n", name, value);
  }
  for (const data::SourceDescription& source : summary.recipe.sources) {
    text += fmt::format("  source       {} ({} bytes)\n", source.name, source.bytes);
  }
  text += fmt::format("  fingerprint  {}\n  vocabulary   {}\n", summary.fingerprint,
                      summary.vocabulary_size);
  for (const data::SplitSummary& split : summary.splits) {
    text +=
        fmt::format("  {}: {} samples in {} shards; tokens {} to {}, mean {:.1f}, median {:.0f}\n",
                    split.name, split.samples, split.shards.size(), split.lengths.min,
                    split.lengths.max, split.lengths.mean, split.lengths.median);
    text += "    " + labels_text(summary, split) + "\n";
  }
  return text + skipped_text(summary.skipped) + notes_text(summary.notes);
}

int run_inspect(const Options& options) {
  const data::DatasetSummary summary = data::inspect_dataset(options.folder);
  if (options.json) {
    print_json(as_json(summary));
  } else {
    std::cout << as_text(summary);
  }
  return kDone;
}

int run_verify(const Options& options) {
  const data::VerifyReport report = data::verify_dataset(options.folder);
  if (options.json) {
    print_json({{"folder", options.folder},
                {"sound", report.problems.empty()},
                {"files", report.files},
                {"bytes", report.bytes},
                {"samples", report.samples},
                {"problems", report.problems}});
    return report.problems.empty() ? kDone : kDataFailure;
  }
  if (!report.problems.empty()) {
    std::string text = options.folder + ": the data set is damaged";
    for (const std::string& problem : report.problems) text += "\n  " + problem;
    throw DataError(text);
  }
  std::cout << fmt::format("{}: sound, {} files, {} bytes, {} samples\n", options.folder,
                           report.files, report.bytes, report.samples);
  return kDone;
}

}  // namespace

void add_data_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "data", "Download published files; build, inspect and verify data sets; tokenize text");
  command->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const auto bind = [&](CLI::App* sub, int (*run)(const Options&)) {
    sub->add_flag("--json", options->json, "One JSON object on stdout");
    sub->callback(
        [options, run, &action] { action = [options, run](Session&) { return run(*options); }; });
  };
  CLI::App* build =
      command->add_subcommand("build", "Make a data set: generated, or from published files");
  build->add_option("--task", options->task, "Task")
      ->required()
      ->check(one_of(data::buildable_tasks()));
  build->add_option("--out", options->out, "Folder to make")->required();
  build->add_option("--source", options->source, "Folder of the published files [generate]");
  build->add_option("--set", options->overrides,
                    "A field of `data` that the task takes: --set data.listops.max_depth=5 "
                    "(repeatable); a wrong one lists them");
  build->add_option("--vocab", options->vocabulary, "Vocabulary (vocab.txt), for tasks of words");
  build->add_flag("--cased", options->cased, "The vocabulary is a cased one");
  build
      ->add_option("--max-length", options->max_length,
                   "Tokens kept of a sample, for tasks of text [by task]")
      ->check(CLI::Range(std::int64_t{1}, data::kMaxBuildLength));
  build
      ->add_option("--skip-bad-rows", options->skip_bad_rows,
                   "Skip and list up to so many unusable rows of the files [0]")
      ->check(CLI::Range(std::int64_t{0}, data::kMaxSkippedRows));
  build->add_option("--threads", options->threads, "Threads [all processors]")
      ->check(CLI::Range(1, 4096));
  bind(build, run_build);
  CLI::App* inspect =
      command->add_subcommand("inspect", "Show counts, lengths, labels, parameters and hashes");
  inspect->add_option("folder", options->folder, "Data set")->required();
  bind(inspect, run_inspect);
  CLI::App* verify = command->add_subcommand("verify", "Check every byte of a data set");
  verify->add_option("folder", options->folder, "Data set")->required();
  bind(verify, run_verify);
  add_download_command(*command, action);
  add_tokenize_command(*command, action);
}

}  // namespace sbm::launch
