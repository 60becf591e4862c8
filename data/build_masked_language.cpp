#include <fmt/format.h>

#include <array>
#include <string>

#include "base/error.h"
#include "data/sentence_packer.h"
#include "data/task_builder.h"
#include "data/text_corpus.h"
#include "data/text_request.h"

namespace sbm::data {
namespace {

constexpr std::int64_t kUsualLength = 128;
constexpr std::size_t kTrain = 0;
constexpr std::size_t kValidation = 1;

SentencePacker::Options packing(const BuildRequest& request) {
  return {.max_length = max_length_of(request, kUsualLength),
          .short_share = request.masked_language.short_share,
          .held_out_share = request.masked_language.validation_share,
          .seed = request.seed};
}

DatasetDescription describe_masked_language(const BuildRequest& request) {
  require_source(request);
  const WordPieceTokenizer tokenizer = tokenizer_of(request);
  const SentencePacker::Options options = packing(request);
  const SentencePacker check_options(tokenizer.vocabulary(), options, {});
  DatasetDescription description{
      .recipe = {.task = request.task, .generator = "sentences packed 2"},
      .splits = {"train", "validation"},
      .word_pieces = tokenizer.vocabulary().word_piece_ids()};
  const CorpusSource corpus = find_corpus(request.source, request.vocabulary);
  description.recipe.sources = describe_corpus(corpus, thread_count(request));
  describe_words(tokenizer, options.max_length, description);
  auto& parameters = description.recipe.parameters;
  parameters.emplace_back("validation_share", fmt::format("{}", options.held_out_share));
  parameters.emplace_back("short_share", fmt::format("{}", options.short_share));
  parameters.emplace_back("seed", std::to_string(options.seed));
  return description;
}

void fill_masked_language(const BuildRequest& request, SampleSink& sink) {
  const WordPieceTokenizer tokenizer = tokenizer_of(request);
  const CorpusSource corpus = find_corpus(request.source, request.vocabulary);
  WordSamples samples(sink, tokenizer.vocabulary().size());
  std::array<std::uint64_t, 2> counts{};
  SentencePacker packer(tokenizer.vocabulary(), packing(request),
                        [&](bool held_out, const EncodedText& text) {
                          const std::size_t split = held_out ? kValidation : kTrain;
                          samples.add(split, text);
                          ++counts[split];
                        });
  read_corpus(corpus, tokenizer, thread_count(request),
              {.sentence = [&](std::span<const std::uint16_t> ids) { packer.add(ids); },
               .end_document = [&] { packer.end_document(); },
               .bad = [&](const auto& path, std::uint64_t line,
                          const std::string& reason) { sink.bad_row(path, line, reason); }});
  const double share = request.masked_language.validation_share;
  if (counts[kTrain] == 0 || (share > 0 && counts[kValidation] == 0)) {
    throw DataError(fmt::format(
        "{}: expected samples for training and validation, found {} and {}: {} documents are too "
        "few for a data.masked_language.validation_share of {}",
        corpus.folder.string(), counts[kTrain], counts[kValidation], packer.documents(), share));
  }
}

constexpr TaskBuilder kBuilders[] = {{.name = "pretrain/mlm",
                                      .describe = describe_masked_language,
                                      .fill = fill_masked_language,
                                      .takes_words = true,
                                      .takes_length = true}};

}  // namespace

std::span<const TaskBuilder> masked_language_builders() { return kBuilders; }

}  // namespace sbm::data
