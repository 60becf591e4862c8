#include "data/text_corpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "data/mapped_file.h"
#include "data/ordered_blocks.h"
#include "data/parallel_lines.h"
#include "data/sentences.h"
#include "data/text_lines.h"

namespace sbm::data {
namespace {

constexpr const char* kReviewHeader = "path\tlabel\ttext";
constexpr std::size_t kFilesPerBlock = 64;

using Ids = std::vector<std::uint16_t>;

// Whether a name stands for something; what cannot be looked at does not.
bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

bool same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code ignored;
  return std::filesystem::equivalent(a, b, ignored);
}

std::vector<Ids> sentences_of(std::string_view text, const WordPieceTokenizer& tokenizer) {
  std::vector<Ids> sentences;
  split_sentences(text,
                  [&](std::string_view sentence) { sentences.push_back(tokenizer.ids(sentence)); });
  return sentences;
}

void tell_document(const std::vector<Ids>& sentences, const CorpusListener& listener) {
  for (const Ids& sentence : sentences) {
    if (!sentence.empty()) listener.sentence(sentence);
  }
  listener.end_document();
}

void read_sentences(const MappedFile& file, const WordPieceTokenizer& tokenizer, int threads,
                    const CorpusListener& listener) {
  struct Line {
    bool blank = false;
    Ids ids{};
  };
  for_each_line<Line>(
      file, {.threads = threads},
      [&](std::string_view line, bool) {
        return Line{.blank = line.find_first_not_of(" \t") == std::string_view::npos,
                    .ids = tokenizer.ids(line)};
      },
      [&](std::uint64_t, Line& line) {
        if (line.blank) {
          listener.end_document();
        } else if (!line.ids.empty()) {
          listener.sentence(line.ids);
        }
      });
  listener.end_document();
}

void read_review_table(const MappedFile& file, const WordPieceTokenizer& tokenizer, int threads,
                       const CorpusListener& listener) {
  struct Row {
    std::string problem{};
    std::vector<Ids> sentences{};
  };
  for_each_line<Row>(
      file, {.threads = threads},
      [&](std::string_view line, bool first) -> Row {
        if (first) {
          if (line == kReviewHeader) return {};
          throw DataError(
              fmt::format("{}:1: expected the header path<TAB>label<TAB>text, found \"{}\"",
                          file.path().string(), excerpt(line)));
        }
        // Texts hold TABs, so only the first two are borders.
        const std::size_t label = line.find('\t');
        const std::size_t text =
            label == std::string_view::npos ? label : line.find('\t', label + 1);
        if (text == std::string_view::npos) {
          return {.problem = fmt::format("expected 3 fields, found {}",
                                         label == std::string_view::npos ? 1 : 2)};
        }
        return {.sentences = sentences_of(line.substr(text + 1), tokenizer)};
      },
      [&](std::uint64_t line, Row& row) {
        if (!row.problem.empty()) {
          listener.bad(file.path(), line, row.problem);
        } else if (line > 1) {
          tell_document(row.sentences, listener);
        }
      });
}

void read_review_files(const CorpusSource& source, const WordPieceTokenizer& tokenizer, int threads,
                       const CorpusListener& listener) {
  using Block = std::vector<std::vector<Ids>>;
  const std::size_t blocks = (source.files.size() + kFilesPerBlock - 1) / kFilesPerBlock;
  std::size_t taken = 0;
  OrderedBlocks<Block>::run(
      threads,
      [&](std::uint64_t block) {
        Block documents;
        const std::size_t begin = std::min(block * kFilesPerBlock, source.files.size());
        const std::size_t end = std::min(begin + kFilesPerBlock, source.files.size());
        for (std::size_t i = begin; i < end; ++i) {
          const MappedFile file(source.folder / source.files[i]);
          documents.push_back(sentences_of(as_text(file), tokenizer));
        }
        return documents;
      },
      [&](const Block& documents) {
        for (const std::vector<Ids>& document : documents) tell_document(document, listener);
        return ++taken < blocks;
      });
}

}  // namespace

CorpusSource find_corpus(const std::filesystem::path& source,
                         const std::filesystem::path& vocabulary) {
  for (const std::filesystem::path& folder : {source, source / "aclImdb"}) {
    if (is_there(folder / "unsup.tsv")) {
      return {CorpusLayout::kReviewTables, folder, {"unsup.tsv", "train.tsv"}};
    }
    if (!is_there(folder / "train" / "unsup")) continue;
    CorpusSource found{.layout = CorpusLayout::kReviewFolders, .folder = folder};
    for (const char* name : {"train/unsup", "train/neg", "train/pos"}) {
      const std::vector<std::string> files = list_text_files(folder, name);
      found.files.insert(found.files.end(), files.begin(), files.end());
    }
    if (!found.files.empty()) return found;
  }
  CorpusSource found{
      .layout = CorpusLayout::kSentences, .folder = source, .files = list_text_files(source, "")};
  std::erase_if(found.files,
                [&](const std::string& name) { return same_file(source / name, vocabulary); });
  if (found.files.empty()) {
    throw DataError(fmt::format(
        "{}: expected text files *.txt, unsup.tsv with train.tsv, or train/unsup; found none",
        source.string()));
  }
  return found;
}

std::vector<SourceDescription> describe_corpus(const CorpusSource& source, int threads) {
  if (source.layout == CorpusLayout::kReviewFolders) {
    return {describe_source_files("train", source.folder, source.files, threads)};
  }
  std::vector<SourceDescription> descriptions;
  for (const std::string& name : source.files) {
    descriptions.push_back(describe_source_file(source.folder, name));
  }
  return descriptions;
}

void read_corpus(const CorpusSource& source, const WordPieceTokenizer& tokenizer, int threads,
                 const CorpusListener& listener) {
  if (source.layout == CorpusLayout::kReviewFolders) {
    return read_review_files(source, tokenizer, threads, listener);
  }
  const auto read =
      source.layout == CorpusLayout::kReviewTables ? read_review_table : read_sentences;
  for (const std::string& name : source.files) {
    read(MappedFile(source.folder / name), tokenizer, threads, listener);
  }
}

}  // namespace sbm::data
