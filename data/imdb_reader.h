#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/recipe.h"
#include "data/source_files.h"

// The Large Movie Review Dataset, in the two forms in which it goes round.
namespace sbm::data {

enum class ImdbLayout {
  kFolders,  ///< as published: train/pos/ID_RATING.txt, train/neg, test/pos, test/neg
  kTables,   ///< train.tsv, test.tsv with the header path TAB label TAB text; texts may hold TABs
};

struct ImdbSource {
  ImdbLayout layout = ImdbLayout::kFolders;
  std::filesystem::path folder{};
};

/// One review; the bytes are those of the file, valid during the call.
struct Review {
  std::string_view text;
  std::int32_t label = -1;     ///< 1 positive, 0 negative
  std::filesystem::path file;  ///< where it comes from
  std::uint64_t line = 0;      ///< 0: the file is the review
};

/// Finds the reviews in `source` or in the folder aclImdb below it. Throws DataError.
ImdbSource find_imdb(const std::filesystem::path& source);

/// Hashes of what "train" and "test" are read from. Throws DataError.
std::vector<SourceDescription> describe_imdb(const ImdbSource& source, int threads);

/// How many reviews a split has, unusable ones included.
std::uint64_t count_imdb(const ImdbSource& source, const std::string& split);

/// Hands the reviews of split "train" or "test" to `take`: tables in the order of their rows,
/// folders negative before positive and by number. Rows with a wrong number of fields, another
/// label than 0 or 1, no text, or one of more than kMaxReviewBytes go to `bad`. Throws DataError.
void read_imdb(const ImdbSource& source, const std::string& split,
               const std::function<void(const Review&)>& take, const BadRow& bad);

}  // namespace sbm::data
