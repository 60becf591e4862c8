#include "data/text_request.h"

#include <fmt/format.h>

#include <string>

#include "base/error.h"

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
