#include "data/stand_in.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/random_stream.h"
#include "data/byte_tokens.h"
#include "data/dataset_writer.h"
#include "data/generation_streams.h"
#include "data/listops_tokens.h"
#include "data/pixel_tokens.h"
#include "data/random_words.h"

namespace sbm::data {
namespace {

// The uncased vocabulary of BERT.
constexpr std::int32_t kPieces = 30522;
constexpr std::int32_t kCls = 101;
constexpr std::int32_t kSep = 102;
constexpr std::int32_t kMask = 103;

enum class Parts { kOne, kTwo };

struct Likeness {
  std::string_view task;
  std::uint64_t samples = 0;
  double least = 0;  ///< tokens of a sample
  double mean = 0;
  double most = 0;
  std::int32_t vocabulary = kPieces;
  std::int32_t classes = 2;  ///< 0: a score; -1: no labels
  Parts parts = Parts::kOne;
};

// Lengths of GLUE with special tokens, pairs cut to the usual 128. Those of QQP, QNLI and MNLI, and
// of the documents of Retrieval (all taken to be cut), are estimates.
constexpr std::array kLikenesses = {
    Likeness{"lra/listops", 96000, 501, 1030, 1999, kListOpsVocabulary, kListOpsClasses},
    Likeness{"lra/text", 22570, 52, 1325, 13704, kByteVocabulary},
    Likeness{"lra/retrieval", 147086, 8000, 8000, 8000, kByteVocabulary, 2, Parts::kTwo},
    Likeness{"lra/image", 45000, 1024, 1024, 1024, kPixelVocabulary, 10},
    Likeness{"lra/pathfinder32", 160000, 1024, 1024, 1024, kPixelVocabulary},
    Likeness{"lra/pathfinder64", 160000, 4096, 4096, 4096, kPixelVocabulary},
    Likeness{"lra/pathfinder128", 160000, 16384, 16384, 16384, kPixelVocabulary},
    Likeness{"lra/pathfinder256", 160000, 65536, 65536, 65536, kPixelVocabulary},
    Likeness{"glue/cola", 8551, 4, 11.4, 47},
    Likeness{"glue/sst-2", 67349, 3, 13.3, 62},
    Likeness{"glue/mrpc", 3668, 20, 53.2, 103, kPieces, 2, Parts::kTwo},
    Likeness{"glue/qqp", 363846, 8, 31, 128, kPieces, 2, Parts::kTwo},
    Likeness{"glue/sts-b", 5749, 8, 27.8, 125, kPieces, 0, Parts::kTwo},
    Likeness{"glue/mnli", 392702, 6, 40, 128, kPieces, 3, Parts::kTwo},
    Likeness{"glue/qnli", 104743, 10, 51, 128, kPieces, 2, Parts::kTwo},
    Likeness{"glue/rte", 2490, 12, 66, 128, kPieces, 2, Parts::kTwo},
    Likeness{"glue/wnli", 635, 12, 37.1, 108, kPieces, 2, Parts::kTwo},
    Likeness{"pretrain/mlm", 239737, 6, 120, 128, kPieces, -1},
};

const Likeness& find_likeness(const std::string& task) {
  const auto* found = std::ranges::find(kLikenesses, task, &Likeness::task);
  if (found != kLikenesses.end()) return *found;
  throw ConfigError(
      fmt::format("{}: expected a task of published data, which have a size to be "
                  "like; name the folder of its own data",
                  task));
}

// Ids of pieces that continue a word: a fifth of them, as in the published vocabulary.
std::vector<bool> continuing_pieces() {
  std::vector<bool> continues(kPieces, false);
  for (std::size_t id = 1000; id < continues.size(); id += 5) continues[id] = true;
  return continues;
}

DatasetDescription describe(const Likeness& like) {
  DatasetDescription description{
      .recipe = {.task = std::string(like.task), .generator = "random tokens for measuring"},
      .splits = {"train"},
      .vocabulary_size = like.vocabulary,
      .pairs = like.parts == Parts::kTwo};
  if (like.vocabulary == kByteVocabulary) description.token_offset = kByteTokenOffset;
  if (like.classes > 0) {
    description.label_kind = LabelKind::kClass;
    for (std::int32_t i = 0; i < like.classes; ++i) {
      description.label_names.push_back(fmt::format("class {}", i));
    }
  } else if (like.classes == 0) {
    description.label_kind = LabelKind::kScore;
  } else {
    description.word_pieces = WordPieceIds{kCls, kSep, kMask, continuing_pieces()};
  }
  return description;
}

std::int64_t draw_length(const Likeness& like, RandomWords& random) {
  const double range = like.most - like.least;
  if (range == 0) return static_cast<std::int64_t>(like.most);
  const double power = range / (like.mean - like.least) - 1;
  const double uniform = std::ldexp(static_cast<double>(random.next32()), -32);
  return std::llround(like.least + range * std::pow(uniform, power));
}

// Neither padding nor, where there are pieces, special ids within.
template <typename Token>
void draw_tokens(const Likeness& like, std::int64_t length, RandomWords& random,
                 std::vector<Token>& tokens) {
  const bool pieces = like.vocabulary == kPieces;
  const std::uint32_t low = pieces ? 1000 : 1;
  const std::uint32_t stored =
      std::min<std::uint32_t>(static_cast<std::uint32_t>(like.vocabulary), 256);
  const std::uint32_t high = pieces ? static_cast<std::uint32_t>(kPieces) : stored;
  tokens.resize(static_cast<std::size_t>(length));
  for (Token& token : tokens) token = static_cast<Token>(low + random.below(high - low));
  if (!pieces) return;
  tokens.front() = static_cast<Token>(kCls);
  tokens.back() = static_cast<Token>(kSep);
}

}  // namespace

std::uint64_t write_stand_in(const std::filesystem::path& folder, const std::string& task,
                             const StandInLimits& limits) {
  const Likeness& like = find_likeness(task);
  DatasetWriter writer(folder, describe(like));
  RandomWords random(stream_key(0, {.purpose = StreamPurpose::kDataGeneration,
                                    .site = static_cast<std::uint32_t>(GenerationSite::kStandIn)}));
  std::vector<std::uint8_t> narrow;
  std::vector<std::uint16_t> wide;
  std::uint64_t samples = 0;
  for (std::uint64_t tokens = 0; samples < like.samples; ++samples) {
    std::int64_t length = draw_length(like, random);
    if (limits.longest > 0) length = std::min(length, limits.longest);
    tokens += static_cast<std::uint64_t>(length);
    if (samples > 0 && tokens > limits.tokens) break;
    SampleView sample;
    if (like.vocabulary == kPieces) {
      draw_tokens(like, length, random, wide);
      sample.tokens16 = wide;
    } else {
      draw_tokens(like, length, random, narrow);
      sample.tokens8 = narrow;
    }
    if (like.parts == Parts::kTwo) sample.first_length = static_cast<std::int32_t>(length / 2);
    if (like.classes > 0) {
      sample.label =
          static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(like.classes)));
    }
    writer.add(0, sample);
  }
  writer.finish();
  return samples;
}

}  // namespace sbm::data
