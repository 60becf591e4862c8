#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "data/random_words.h"
#include "data/text_encoder.h"
#include "data/vocabulary.h"

namespace sbm::data {

/// Packs the sentences of documents into samples [CLS] ... [SEP] of at most max_length tokens. A
/// sample holds whole sentences of one document, as many as fit; only a sentence longer than a
/// whole sample is cut. No token is lost or repeated.
class SentencePacker {
 public:
  struct Options {
    std::int64_t max_length = 0;  ///< special tokens counted, at least TextEncoder::kMinLength
    /// Of the samples: no sentence is added beyond a length drawn from 2 to the most, uniform. The
    /// first one stays whole, so a sample may be longer than drawn.
    double short_share = 0;
    double held_out_share = 0;  ///< of the documents
    std::uint64_t seed = 0;
  };

  /// `take(held_out, sample)` gets every sample in order. Throws ConfigError on options out of
  /// range.
  SentencePacker(const Vocabulary& vocabulary, const Options& options,
                 std::function<void(bool held_out, const EncodedText&)> take);

  /// The next sentence of the document.
  void add(std::span<const std::uint16_t> sentence);
  /// The next sentence begins another document. Documents without tokens are not counted.
  void end_document();
  /// Documents so far that had tokens and are ended.
  [[nodiscard]] std::uint64_t documents() const { return documents_; }

 private:
  void begin_document();
  void begin_sample();
  void emit();

  std::uint16_t cls_;
  std::uint16_t sep_;
  Options options_;
  std::size_t room_;
  std::function<void(bool, const EncodedText&)> take_;
  std::optional<RandomWords> random_{};  ///< of the document, when one is open
  bool held_out_ = false;
  std::size_t target_ = 0;  ///< tokens of the open sample, beside the special ones, to fill up to
  EncodedText sample_{};
  std::uint64_t documents_ = 0;
};

}  // namespace sbm::data
