#include "data/sentence_packer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/random_stream.h"
#include "data/generation_streams.h"

namespace sbm::data {
namespace {

void check_share(const char* name, double share, double most) {
  if (!(share >= 0 && share <= most)) {
    throw ConfigError(fmt::format("{}: expected 0 to {}, found {}", name, most, share));
  }
}

bool draw(RandomWords& random, double share) { return random.next32() < share * 4294967296.0; }

}  // namespace

SentencePacker::SentencePacker(const Vocabulary& vocabulary, const Options& options,
                               std::function<void(bool, const EncodedText&)> take)
    : cls_(vocabulary.cls()),
      sep_(vocabulary.sep()),
      options_(options),
      room_(static_cast<std::size_t>(options.max_length) - 2),
      take_(std::move(take)) {
  if (options.max_length < TextEncoder::kMinLength) {
    throw ConfigError(fmt::format("expected samples of at least {} tokens, found a limit of {}",
                                  TextEncoder::kMinLength, options.max_length));
  }
  check_share("data.masked_language.short_share", options.short_share, 1);
  check_share("data.masked_language.validation_share", options.held_out_share, 0.9);
}

void SentencePacker::begin_document() {
  random_.emplace(stream_key(options_.seed,
                             {.purpose = StreamPurpose::kDataGeneration,
                              .sample = documents_,
                              .site = static_cast<std::uint32_t>(GenerationSite::kTextDocument)}));
  held_out_ = draw(*random_, options_.held_out_share);
  begin_sample();
}

void SentencePacker::begin_sample() {
  sample_.tokens.assign(1, cls_);
  target_ = room_;
  if (draw(*random_, options_.short_share)) {
    target_ = 2 + random_->below(static_cast<std::uint32_t>(room_ - 1));
  }
}

void SentencePacker::emit() {
  sample_.tokens.push_back(sep_);
  take_(held_out_, sample_);
}

void SentencePacker::add(std::span<const std::uint16_t> sentence) {
  if (sentence.empty()) return;
  if (!random_) begin_document();
  while (!sentence.empty()) {
    const std::size_t held = sample_.tokens.size() - 1;
    if (held > 0 && held + sentence.size() > target_) {
      emit();
      begin_sample();
      continue;
    }
    // A short sample may be longer than drawn, lest it cut a sentence that fits a whole one.
    const auto part = sentence.first(std::min(sentence.size(), room_));
    sample_.tokens.insert(sample_.tokens.end(), part.begin(), part.end());
    sentence = sentence.subspan(part.size());
  }
}

void SentencePacker::end_document() {
  if (!random_) return;
  emit();
  random_.reset();
  ++documents_;
}

}  // namespace sbm::data
