#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/recipe.h"
#include "data/source_files.h"
#include "data/wordpiece.h"

// Running text as a corpus: documents of sentences.
namespace sbm::data {

enum class CorpusLayout {
  kSentences,      ///< *.txt: one sentence a line, a blank line between documents
  kReviewTables,   ///< unsup.tsv, train.tsv: path TAB label TAB review, each a document
  kReviewFolders,  ///< the published aclImdb/train: unsup, neg and pos, a file a review
};

struct CorpusSource {
  CorpusLayout layout = CorpusLayout::kSentences;
  std::filesystem::path folder{};
  std::vector<std::string> files{};  ///< relative to `folder`, in reading order
};

/// Finds a corpus in `source` (or in aclImdb below it): film reviews, or else text files. A text
/// file that is `vocabulary` itself is left out. Throws DataError when there is none.
CorpusSource find_corpus(const std::filesystem::path& source,
                         const std::filesystem::path& vocabulary);

/// Sizes and hashes of the files. Throws DataError.
std::vector<SourceDescription> describe_corpus(const CorpusSource& source, int threads);

/// What read_corpus() tells of.
struct CorpusListener {
  std::function<void(std::span<const std::uint16_t> sentence)> sentence;
  std::function<void()> end_document;
  BadRow bad;  ///< rows of review tables without three fields, files over kMaxReviewBytes
};

/// Tokenizes a corpus on some threads and tells of its sentences in order; what the listener hears
/// does not depend on the threads. Sentences without tokens are passed over. Throws DataError.
void read_corpus(const CorpusSource& source, const WordPieceTokenizer& tokenizer, int threads,
                 const CorpusListener& listener);

}  // namespace sbm::data
