#include "data/text_corpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "data/mapped_file.h"
#include "data/ordered_blocks.h"
#include "data/parallel_lines.h"
#include "data/review_row.h"
#include "data/sentences.h"
#include "data/text_lines.h"

namespace sbm::data {
namespace {

// Few, since each may have kMaxReviewBytes.
constexpr std::size_t kFilesPerBlock = 8;

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

// A review's sentences one after the other: a vector for each would take thirty times the text
// where sentences are short.
struct Document {
  std::string problem{};
  Ids ids{};
  std::vector<std::size_t> ends{};  // of the sentences, in `ids`
};

Document document_of(std::string_view text, const WordPieceTokenizer& tokenizer) {
  Document document{.problem = review_length_problem(text)};
  if (!document.problem.empty()) return document;
  split_sentences(text, [&](std::string_view sentence) {
    tokenizer.append_ids(sentence, document.ids);
    document.ends.push_back(document.ids.size());
  });
  return document;
}

void tell_document(const Document& document, const CorpusListener& listener) {
  const std::span ids(document.ids);
  std::size_t begin = 0;
  for (const std::size_t end : document.ends) {
    if (end > begin) listener.sentence(ids.subspan(begin, end - begin));
    begin = end;
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
  for_each_line<Document>(
      file, {.threads = threads},
      [&](std::string_view line, bool first) -> Document {
        if (first) {
          check_review_header(file, line);
          return {};
        }
        ReviewRow row;
        std::string problem = split_review(line, row);
        if (!problem.empty()) return {.problem = std::move(problem)};
        return document_of(row.text, tokenizer);
      },
      [&](std::uint64_t line, const Document& document) {
        if (!document.problem.empty()) {
          listener.bad(file.path(), line, document.problem);
        } else if (line > 1) {
          tell_document(document, listener);
        }
      });
}

void read_review_files(const CorpusSource& source, const WordPieceTokenizer& tokenizer, int threads,
                       const CorpusListener& listener) {
  using Block = std::vector<Document>;
  const std::size_t blocks = (source.files.size() + kFilesPerBlock - 1) / kFilesPerBlock;
  std::size_t taken = 0;
  std::size_t told = 0;
  OrderedBlocks<Block>::run(
      threads,
      [&](std::uint64_t block) {
        Block documents;
        const std::size_t begin = std::min(block * kFilesPerBlock, source.files.size());
        const std::size_t end = std::min(begin + kFilesPerBlock, source.files.size());
        for (std::size_t i = begin; i < end; ++i) {
          const MappedFile file(source.folder / source.files[i]);
          documents.push_back(document_of(as_text(file), tokenizer));
        }
        return documents;
      },
      [&](const Block& documents) {
        for (const Document& document : documents) {
          const std::string& name = source.files[told++];
          if (document.problem.empty()) {
            tell_document(document, listener);
          } else {
            listener.bad(source.folder / name, 0, document.problem);
          }
        }
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
