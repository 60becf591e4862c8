#include <array>
#include <string>
#include <vector>

#include "data/repeated_tokens.h"
#include "data/task_builder.h"

namespace sbm::data {
namespace {

DatasetDescription describe_repeated_tokens(const BuildRequest& request) {
  const RepeatedTokensParameters& p = request.repeated_tokens;
  refuse_source(request);
  check_repeated_tokens_parameters(p);
  DatasetDescription description{.recipe = {.task = request.task, .generator = "repeated tokens 1"},
                                 .splits = standard_splits(),
                                 .label_kind = LabelKind::kPerToken,
                                 .label_names = {"unique", "repeated"},
                                 .vocabulary_size = p.length + 1};
  DatasetRecipe& recipe = description.recipe;
  recipe.parameters = sample_counts(p.train_samples, p.validation_samples, p.test_samples);
  recipe.parameters.emplace_back("length", std::to_string(p.length));
  recipe.parameters.emplace_back("seed", std::to_string(p.seed));
  return description;
}

void fill_repeated_tokens(const BuildRequest& request, SampleSink& sink) {
  const RepeatedTokensParameters& p = request.repeated_tokens;
  const std::array<std::int64_t, 3> counts = {p.train_samples, p.validation_samples,
                                              p.test_samples};
  sink.expect(static_cast<std::uint64_t>(counts[0] + counts[1] + counts[2]));
  RepeatedTokensSample sample;
  std::vector<std::uint8_t> narrow;
  for (std::uint32_t split = 0; split < counts.size(); ++split) {
    for (std::int64_t i = 0; i < counts[split]; ++i) {
      draw_repeated_tokens(p, split, static_cast<std::uint64_t>(i), sample);
      SampleView view{.token_labels = sample.labels};
      if (p.length <= 255) {
        narrow.assign(sample.tokens.begin(), sample.tokens.end());
        view.tokens8 = narrow;
      } else {
        view.tokens16 = sample.tokens;
      }
      sink.add(split, view);
    }
  }
}

constexpr TaskBuilder kBuilders[] = {
    {"synthetic/repeated-tokens", describe_repeated_tokens, fill_repeated_tokens, true}};

}  // namespace

std::span<const TaskBuilder> repeated_tokens_builders() { return kBuilders; }

}  // namespace sbm::data
