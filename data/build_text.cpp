#include <fmt/format.h>

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/content_hash.h"
#include "base/error.h"
#include "data/byte_tokens.h"
#include "data/held_out.h"
#include "data/imdb_reader.h"
#include "data/task_builder.h"

namespace sbm::data {
namespace {

constexpr std::size_t kTrain = 0;
constexpr std::size_t kValidation = 1;
constexpr std::size_t kTest = 2;

void check(const BuildRequest& request) {
  require_source(request);
  const double share = request.text.validation_share;
  if (!(share >= 0 && share <= 0.9)) {
    throw ConfigError(
        fmt::format("data.text.validation_share: expected 0 to 0.9, found {}", share));
  }
}

DatasetDescription describe_text(const BuildRequest& request) {
  check(request);
  DatasetDescription description{
      .recipe = {.task = request.task, .generator = "imdb bytes 1"},
      .splits = standard_splits(),
      .label_kind = LabelKind::kClass,
      .label_names = {"negative", "positive"},
      .vocabulary_size = kByteVocabulary,
      .token_offset = kByteTokenOffset,
  };
  auto& parameters = description.recipe.parameters;
  parameters.emplace_back("max_length", std::to_string(request.max_length));
  if (request.text.validation_is_test) {
    parameters.emplace_back("validation", "the test set, as published");
  } else {
    parameters.emplace_back("validation_share", fmt::format("{}", request.text.validation_share));
    parameters.emplace_back("seed", std::to_string(request.seed));
  }
  description.recipe.sources = describe_imdb(find_imdb(request.source), thread_count(request));
  return description;
}

// Counts texts that occur more than once: an honest accuracy must know of them.
class Duplicates {
 public:
  void add(bool test, const ContentHash& hash) {
    Count& count = seen_[hash.low];
    ++(test ? count.test : count.train);
  }

  void report(SampleSink& sink) const {
    std::uint64_t inside[2] = {0, 0};
    std::uint64_t across = 0;
    for (const auto& [hash, count] : seen_) {
      inside[0] += count.train > 1 ? count.train - 1 : 0;
      inside[1] += count.test > 1 ? count.test - 1 : 0;
      across += count.train > 0 ? count.test : 0;
    }
    sink.note(
        fmt::format("duplicates: {} texts of train and {} of test repeat an earlier one; {} "
                    "texts of test are in train, too",
                    inside[0], inside[1], across));
  }

 private:
  struct Count {
    std::uint32_t train = 0;
    std::uint32_t test = 0;
  };
  std::unordered_map<std::uint64_t, Count> seen_;
};

void fill_text(const BuildRequest& request, SampleSink& sink) {
  const ImdbSource source = find_imdb(request.source);
  const bool published = request.text.validation_is_test;
  const std::uint64_t test_count = count_imdb(source, "test");
  sink.expect(count_imdb(source, "train") + test_count * (published ? 2 : 1));
  const BadRow bad = [&sink](const auto& file, std::uint64_t line, const std::string& reason) {
    sink.bad_row(file, line, reason);
  };
  Duplicates duplicates;
  const auto add = [&](std::size_t split, const Review& review) {
    sink.add(split,
             {.tokens8 = byte_tokens(review.text, request.max_length), .label = review.label});
  };
  read_imdb(
      source, "train",
      [&](const Review& review) {
        const ContentHash hash = content_hash(review.text);
        duplicates.add(false, hash);
        const bool held_out =
            !published && is_held_out(request.seed, hash, request.text.validation_share);
        add(held_out ? kValidation : kTrain, review);
      },
      bad);
  read_imdb(
      source, "test",
      [&](const Review& review) {
        duplicates.add(true, content_hash(review.text));
        if (published) add(kValidation, review);
        add(kTest, review);
      },
      bad);
  duplicates.report(sink);
}

constexpr TaskBuilder kBuilders[] = {
    {.name = "lra/text", .describe = describe_text, .fill = fill_text, .takes_length = true}};

}  // namespace

std::span<const TaskBuilder> text_builders() { return kBuilders; }

}  // namespace sbm::data
