#include <array>
#include <string>

#include "data/listops_reader.h"
#include "data/listops_tokens.h"
#include "data/source_files.h"
#include "data/task_builder.h"

namespace sbm::data {
namespace {

// The published files, in the order of the splits.
constexpr std::array<const char*, 3> kListOpsFiles = {"basic_train.tsv", "basic_val.tsv",
                                                      "basic_test.tsv"};

DatasetDescription describe_listops(const BuildRequest& request) {
  DatasetDescription description{.recipe = {.task = request.task},
                                 .splits = standard_splits(),
                                 .label_kind = LabelKind::kClass,
                                 .label_names = listops_label_names(),
                                 .vocabulary_size = kListOpsVocabulary};
  DatasetRecipe& recipe = description.recipe;
  if (request.source.empty()) {
    const ListOpsParameters& p = request.listops;
    check_listops_parameters(p);
    recipe.generator = "listops 1";
    recipe.parameters = sample_counts(p.train_samples, p.validation_samples, p.test_samples);
    recipe.parameters.emplace_back("max_depth", std::to_string(p.max_depth));
    recipe.parameters.emplace_back("max_arguments", std::to_string(p.max_arguments));
    recipe.parameters.emplace_back("min_length", std::to_string(p.min_length));
    recipe.parameters.emplace_back("max_length", std::to_string(p.max_length));
    recipe.parameters.emplace_back("seed", std::to_string(p.seed));
  } else {
    recipe.generator = "listops files 1";
    for (const char* name : kListOpsFiles) {
      recipe.sources.push_back(describe_source_file(request.source, name));
    }
  }
  return description;
}

void fill_listops(const BuildRequest& request, SampleSink& sink) {
  if (request.source.empty()) {
    const ListOpsParameters& p = request.listops;
    sink.expect(
        static_cast<std::uint64_t>(p.train_samples + p.validation_samples + p.test_samples));
    generate_listops(p, thread_count(request), [&](std::size_t split, const ListOpsSample& tree) {
      sink.add(split, {.tokens8 = tree.tokens, .label = tree.label});
    });
    return;
  }
  for (std::size_t split = 0; split < kListOpsFiles.size(); ++split) {
    read_listops(
        request.source / kListOpsFiles[split], ListOpsFormat::kLongRangeArena,
        [&](const ListOpsRow& row) {
          sink.add(split, {.tokens8 = row.tokens, .label = row.label});
        },
        [&](const auto& path, std::uint64_t line, const std::string& reason) {
          sink.bad_row(path, line, reason);
        });
  }
}

constexpr TaskBuilder kBuilders[] = {{"lra/listops", describe_listops, fill_listops, true}};

}  // namespace

std::span<const TaskBuilder> listops_builders() { return kBuilders; }

}  // namespace sbm::data
