#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "data/build.h"
#include "data/dataset_writer.h"
#include "data/sample_sink.h"
#include "data/text_encoder.h"
#include "data/wordpiece.h"

// What the tasks of words share: their options of `sbm data build`, and how a recipe tells of them.
namespace sbm::data {

/// The tokenizer that the request asks for. Throws ConfigError when it names no vocabulary,
/// DataError when that is none.
WordPieceTokenizer tokenizer_of(const BuildRequest& request);

/// BuildRequest::max_length, or `usual` when it is 0.
std::int64_t max_length_of(const BuildRequest& request, std::int64_t usual);

/// Hands samples of words on in the width that a vocabulary of `size` pieces asks for.
class WordSamples {
 public:
  WordSamples(SampleSink& sink, std::size_t vocabulary_size);

  void add(std::size_t split, const EncodedText& text, std::int32_t label = -1, float score = 0);

 private:
  SampleSink& sink_;
  bool narrow_;
  std::vector<std::uint8_t> narrow_ids_;
};

/// Enters the tokenizer and the length into the recipe, and the vocabulary into the description.
void describe_words(const WordPieceTokenizer& tokenizer, std::int64_t max_length,
                    DatasetDescription& description);

}  // namespace sbm::data
