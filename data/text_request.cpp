#include "data/text_request.h"

#include <fmt/format.h>

#include <string>

#include "base/error.h"
#include "data/dataset_index.h"

namespace sbm::data {

WordPieceTokenizer tokenizer_of(const BuildRequest& request) {
  if (request.vocabulary.empty()) {
    throw ConfigError(
        fmt::format("task \"{}\" is made of words: expected a vocabulary (vocab.txt), found none",
                    request.task));
  }
  return WordPieceTokenizer(Vocabulary::read(request.vocabulary),
                            {.lower_case = request.lower_case});
}

std::int64_t max_length_of(const BuildRequest& request, std::int64_t usual) {
  return request.max_length == 0 ? usual : request.max_length;
}

WordSamples::WordSamples(SampleSink& sink, std::size_t vocabulary_size)
    : sink_(sink), narrow_(narrow_tokens(static_cast<std::int32_t>(vocabulary_size), 0)) {}

void WordSamples::add(std::size_t split, const EncodedText& text, std::int32_t label, float score) {
  SampleView sample{.first_length = text.first_length, .label = label, .score = score};
  if (narrow_) {
    narrow_ids_.assign(text.tokens.begin(), text.tokens.end());
    sample.tokens8 = narrow_ids_;
  } else {
    sample.tokens16 = text.tokens;
  }
  sink_.add(split, sample);
}

void describe_words(const WordPieceTokenizer& tokenizer, std::int64_t max_length,
                    DatasetDescription& description) {
  auto& parameters = description.recipe.parameters;
  parameters.emplace_back("max_length", std::to_string(max_length));
  parameters.emplace_back("lower_case", tokenizer.options().lower_case ? "true" : "false");
  parameters.emplace_back("max_word_length", std::to_string(tokenizer.options().max_word_length));
  description.recipe.sources.push_back(tokenizer.vocabulary().source());
  description.vocabulary_size = static_cast<std::int32_t>(tokenizer.vocabulary().size());
}

}  // namespace sbm::data
