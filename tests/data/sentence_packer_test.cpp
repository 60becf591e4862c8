// Statistical checks pass by chance alone once in a million; the seeds are fixed.
#include "data/sentence_packer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"
#include "tests/data/statistics.h"
#include "tests/data/tiny_vocabulary.h"

namespace sbm::data {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Ids = std::vector<std::uint16_t>;
using Samples = std::vector<Ids>;

// Packs documents of sentences and gives the samples of both kinds in order.
struct Packed {
  Samples samples;
  std::vector<bool> held_out;
  std::uint64_t documents = 0;
};

Packed pack(const SentencePacker::Options& options,
            const std::vector<std::vector<Ids>>& documents) {
  Packed packed;
  const Vocabulary vocabulary = tiny_vocabulary();
  SentencePacker packer(vocabulary, options, [&](bool held_out, const EncodedText& text) {
    packed.samples.push_back(text.tokens);
    packed.held_out.push_back(held_out);
  });
  for (const auto& document : documents) {
    for (const Ids& sentence : document) packer.add(sentence);
    packer.end_document();
  }
  packed.documents = packer.documents();
  return packed;
}

TEST(SentencePacker, PutsWholeSentencesTogether) {
  const Packed packed = pack({.max_length = 8}, {{{10, 11}, {12}, {13, 14, 15}, {16, 17}}});
  EXPECT_THAT(packed.samples, ElementsAre(Ids{2, 10, 11, 12, 13, 14, 15, 3}, Ids{2, 16, 17, 3}));
  // One that does not fit begins the next sample.
  EXPECT_THAT(pack({.max_length = 8}, {{{10, 11, 12, 13}, {14, 15, 16}}}).samples,
              ElementsAre(Ids{2, 10, 11, 12, 13, 3}, Ids{2, 14, 15, 16, 3}));
}

TEST(SentencePacker, CutsOnlyWhatIsLongerThanASample) {
  EXPECT_THAT(
      pack({.max_length = 5}, {{{10}, {11, 12, 13, 14, 15, 16, 17}, {18}}}).samples,
      ElementsAre(Ids{2, 10, 3}, Ids{2, 11, 12, 13, 3}, Ids{2, 14, 15, 16, 3}, Ids{2, 17, 18, 3}));
}

TEST(SentencePacker, NeverMixesDocuments) {
  const Packed packed = pack({.max_length = 64}, {{{10}, {11}}, {}, {{}}, {{12}}});
  EXPECT_THAT(packed.samples, ElementsAre(Ids{2, 10, 11, 3}, Ids{2, 12, 3}));
  EXPECT_EQ(packed.documents, 2U);
  EXPECT_THAT(pack({.max_length = 64}, {}).samples, IsEmpty());
}

// Many documents of sentences with 1 to 40 tokens.
std::vector<std::vector<Ids>> corpus(int documents) {
  RandomWords random(9);
  std::vector<std::vector<Ids>> all;
  for (int i = 0; i < documents; ++i) {
    auto& document = all.emplace_back();
    for (std::uint32_t n = 1 + random.below(30); n > 0; --n) {
      auto& sentence = document.emplace_back();
      for (std::uint32_t length = 1 + random.below(40); length > 0; --length) {
        sentence.push_back(static_cast<std::uint16_t>(5 + random.below(30)));
      }
    }
  }
  return all;
}

TEST(SentencePacker, LosesAndRepeatsNothing) {
  const auto documents = corpus(200);
  for (const double share : {0.0, 0.1, 1.0}) {
    const SentencePacker::Options options{
        .max_length = 32, .short_share = share, .held_out_share = 0.3, .seed = 4};
    const Packed packed = pack(options, documents);
    Ids tokens;
    for (const Ids& sample : packed.samples) {
      ASSERT_LE(sample.size(), 32U);
      ASSERT_GE(sample.size(), 3U);
      tokens.insert(tokens.end(), sample.begin() + 1, sample.end() - 1);
    }
    Ids expected;
    for (const auto& document : documents) {
      for (const Ids& sentence : document) {
        expected.insert(expected.end(), sentence.begin(), sentence.end());
      }
    }
    EXPECT_EQ(tokens, expected);
    EXPECT_EQ(pack(options, documents).samples, packed.samples);
  }
}

TEST(SentencePacker, HoldsWholeDocumentsOut) {
  const int count = 20000;
  const std::vector<std::vector<Ids>> documents(count, {{10, 11, 12}, {13, 14, 15}});
  const auto held = [&](std::uint64_t seed) {
    // Two samples a document.
    return pack({.max_length = 5, .held_out_share = 0.05, .seed = seed}, documents).held_out;
  };
  const std::vector<bool> first = held(1);
  ASSERT_EQ(first.size(), 2U * count);
  double out = 0;
  for (std::size_t i = 0; i < first.size(); i += 2) {
    EXPECT_EQ(first[i], first[i + 1]);
    out += first[i] ? 1 : 0;
  }
  EXPECT_LT(std::abs(out - 0.05 * count) / std::sqrt(count * 0.05 * 0.95), kOneInAMillion);
  EXPECT_EQ(held(1), first);
  EXPECT_NE(held(2), first);
}

TEST(SentencePacker, PacksSomeSamplesShort) {
  // Sentences of one token fill the first sample of a document to the drawn length: 2 to 10,
  // uniform.
  const std::vector<std::vector<Ids>> documents(30000, std::vector<Ids>(10, Ids{10}));
  const Packed packed = pack({.max_length = 12, .short_share = 1, .seed = 3}, documents);
  std::vector<double> counts(9, 0);
  std::size_t left = 0;
  for (const Ids& sample : packed.samples) {
    if (left == 0) {
      counts[sample.size() - 4] += 1;
      left = 10;
    }
    left -= sample.size() - 2;
  }
  EXPECT_LT(uniform_z(counts), kOneInAMillion);
  double uncut = 0;
  for (const Ids& sample :
       pack({.max_length = 12, .short_share = 0.1, .seed = 3}, documents).samples) {
    uncut += sample.size() == 12 ? 1 : 0;
  }
  // Nine in ten are not short, and a ninth of the short ones has all ten.
  const double p = 0.9 + 0.1 / 9;
  EXPECT_LT(std::abs(uncut - 30000 * p) / std::sqrt(30000 * p * (1 - p)), kOneInAMillion);
}

TEST(SentencePacker, ShortSamplesCutNoSentenceEither) {
  std::vector<std::vector<Ids>> documents = corpus(200);
  // The first token of each sentence is 40, the others are below.
  for (auto& document : documents) {
    for (Ids& sentence : document) sentence[0] = 40;
  }
  for (const double share : {0.1, 1.0}) {
    // The longest sentence, 40 tokens, fits exactly.
    for (const Ids& sample : pack({.max_length = 42, .short_share = share}, documents).samples) {
      ASSERT_EQ(sample[1], 40);
    }
  }
  // Longer than a whole sample: cut there and nowhere else.
  EXPECT_THAT(pack({.max_length = 6, .short_share = 1}, {{{10, 11, 12, 13, 14, 15}}}).samples,
              ElementsAre(Ids{2, 10, 11, 12, 13, 3}, Ids{2, 14, 15, 3}));
}

TEST(SentencePacker, ChecksItsOptions) {
  for (const SentencePacker::Options& options :
       {SentencePacker::Options{.max_length = 3}, SentencePacker::Options{.max_length = -1},
        SentencePacker::Options{.max_length = 8, .short_share = 1.5},
        SentencePacker::Options{.max_length = 8, .short_share = std::nan("")},
        SentencePacker::Options{.max_length = 8, .held_out_share = 1},
        SentencePacker::Options{.max_length = 8, .held_out_share = -0.1}}) {
    EXPECT_THROW(SentencePacker(tiny_vocabulary(), options, {}), ConfigError);
  }
}

}  // namespace
}  // namespace sbm::data
