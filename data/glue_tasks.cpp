#include "data/glue_tasks.h"

#include <utility>

namespace sbm::data {
namespace {

constexpr GlueColumn kNoColumn{};
constexpr GlueColumn kIndex{0, "index"};

// The three files of most tasks: train and dev are laid out alike, test has no labels.
std::vector<GlueFile> three_files(GlueFile labelled, GlueFile unlabelled) {
  labelled.split = "train";
  labelled.name = "train.tsv";
  GlueFile validation = labelled;
  validation.split = "validation";
  validation.name = "dev.tsv";
  unlabelled.split = "test";
  unlabelled.name = "test.tsv";
  return {labelled, validation, unlabelled};
}

GlueTask cola() {
  return {
      .name = "glue/cola",
      .labels = {"0", "1"},
      .files = three_files({.has_header = false, .fields = 4, .first = {3, {}}, .label = {1, {}}},
                           {.fields = 2, .first = {1, "sentence"}, .row = kIndex})};
}

GlueTask sst2() {
  return {.name = "glue/sst-2",
          .labels = {"0", "1"},
          .files = three_files({.fields = 2, .first = {0, "sentence"}, .label = {1, "label"}},
                               {.fields = 2, .first = {1, "sentence"}, .row = kIndex})};
}

GlueTask mrpc() {
  constexpr GlueColumn kFirst{3, "#1 String"};
  constexpr GlueColumn kSecond{4, "#2 String"};
  return {.name = "glue/mrpc",
          .labels = {"0", "1"},
          .files = three_files(
              {.fields = 5, .first = kFirst, .second = kSecond, .label = {0, "Quality"}},
              {.fields = 5, .first = kFirst, .second = kSecond, .row = kIndex})};
}

GlueTask qqp() {
  return {
      .name = "glue/qqp",
      .labels = {"0", "1"},
      .files = three_files(
          {.fields = 6,
           .first = {3, "question1"},
           .second = {4, "question2"},
           .label = {5, "is_duplicate"}},
          {.fields = 3, .first = {1, "question1"}, .second = {2, "question2"}, .row = {0, "id"}})};
}

GlueTask stsb() {
  constexpr GlueColumn kFirst{7, "sentence1"};
  constexpr GlueColumn kSecond{8, "sentence2"};
  return {.name = "glue/sts-b",
          .label_kind = LabelKind::kScore,
          .files =
              three_files({.fields = 10, .first = kFirst, .second = kSecond, .label = {9, "score"}},
                          {.fields = 9, .first = kFirst, .second = kSecond, .row = kIndex})};
}

// Published orders of these words differ; this is that of google-research/bert.
const std::vector<std::string>& inference_labels() {
  static const std::vector<std::string> labels = {"contradiction", "entailment", "neutral"};
  return labels;
}

GlueTask mnli() {
  const auto file = [](std::string_view split, std::string_view name, int fields, GlueColumn label,
                       GlueColumn row) {
    return GlueFile{.split = split,
                    .name = name,
                    .fields = fields,
                    .first = {8, "sentence1"},
                    .second = {9, "sentence2"},
                    .label = label,
                    .row = row};
  };
  constexpr GlueColumn kTrainLabel{11, "gold_label"};
  constexpr GlueColumn kDevLabel{15, "gold_label"};
  return {.name = "glue/mnli",
          .labels = inference_labels(),
          .files = {
              file("train", "train.tsv", 12, kTrainLabel, kNoColumn),
              file("validation", "dev_matched.tsv", 16, kDevLabel, kNoColumn),
              file("validation_mismatched", "dev_mismatched.tsv", 16, kDevLabel, kNoColumn),
              file("test", "test_matched.tsv", 10, kNoColumn, kIndex),
              file("test_mismatched", "test_mismatched.tsv", 10, kNoColumn, kIndex),
          }};
}

// QNLI, RTE and WNLI, whose files differ in the names of the texts.
GlueTask inference(std::string_view name, std::string_view a, std::string_view b,
                   std::vector<std::string> labels) {
  return {
      .name = name,
      .labels = std::move(labels),
      .files = three_files({.fields = 4, .first = {1, a}, .second = {2, b}, .label = {3, "label"}},
                           {.fields = 3, .first = {1, a}, .second = {2, b}, .row = kIndex})};
}

GlueTask ax() {
  return {.name = "glue/ax",
          .labels = inference_labels(),
          .files = {{.split = "test",
                     .name = "diagnostic.tsv",
                     .fields = 3,
                     .first = {1, "sentence1"},
                     .second = {2, "sentence2"},
                     .row = kIndex}}};
}

}  // namespace

const std::vector<GlueTask>& glue_tasks() {
  static const std::vector<GlueTask> tasks = {
      cola(),
      sst2(),
      mrpc(),
      qqp(),
      stsb(),
      mnli(),
      inference("glue/qnli", "question", "sentence", {"entailment", "not_entailment"}),
      inference("glue/rte", "sentence1", "sentence2", {"entailment", "not_entailment"}),
      inference("glue/wnli", "sentence1", "sentence2", {"0", "1"}),
      ax(),
  };
  return tasks;
}

}  // namespace sbm::data
