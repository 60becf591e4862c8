#include "data/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/content_hash.h"
#include "base/error.h"
#include "data/dataset_index.h"
#include "data/mapped_file.h"
#include "data/text_lines.h"
#include "data/unicode_text.h"

namespace sbm::data {
namespace {

constexpr std::string_view kPadding = "[PAD]";

void check_size(std::size_t bytes, const std::string& name) {
  if (bytes > kMaxVocabularyBytes) {
    throw DataError(fmt::format("{}: expected a vocabulary of at most {} bytes, found {}", name,
                                kMaxVocabularyBytes, bytes));
  }
}

}  // namespace

Vocabulary Vocabulary::read(const std::filesystem::path& path) {
  const MappedFile file(path);
  check_size(file.bytes().size(), path.string());
  return parse(as_text(file), path.string());
}

Vocabulary Vocabulary::parse(std::string_view contents, const std::string& name) {
  check_size(contents.size(), name);
  Vocabulary vocabulary;
  vocabulary.source_ = {.name = kVocabularySource,
                        .bytes = contents.size(),
                        .xxh3_128 = content_hash(contents).hex()};
  std::unordered_map<std::string_view, std::size_t> ids;
  std::string_view rest = contents;
  while (!rest.empty()) {
    const std::string_view piece = take_line(rest);
    const std::size_t id = ids.size();
    const auto fail = [&](const std::string& problem) {
      throw DataError(fmt::format("{}:{}: {}", name, id + 1, problem));
    };
    if (id == 0 && piece != kPadding) {
      fail(
          fmt::format("expected the piece [PAD] in the first line, because id 0 is padding; found "
                      "\"{}\"",
                      excerpt(piece)));
    }
    if (piece.empty()) fail("expected a piece, found an empty line");
    const std::size_t bad = find_bad_utf8(piece);
    if (bad != std::string_view::npos) {
      fail(fmt::format("expected UTF-8, found byte 0x{:02x} at column {}",
                       static_cast<unsigned char>(piece[bad]), bad + 1));
    }
    if (id == static_cast<std::size_t>(kMaxVocabulary)) {
      fail(fmt::format("expected at most {} pieces, found more", kMaxVocabulary));
    }
    const auto [first, is_new] = ids.emplace(piece, id);
    if (!is_new) {
      fail(fmt::format("expected each piece once, found \"{}\" also in line {}", excerpt(piece),
                       first->second + 1));
    }
    vocabulary.pieces_.emplace_back(piece);
  }
  const auto required = [&](std::string_view piece) {
    const auto found = ids.find(piece);
    if (found == ids.end()) {
      throw DataError(fmt::format("{}: expected the piece {}, found {} pieces without it", name,
                                  piece, ids.size()));
    }
    return static_cast<std::uint16_t>(found->second);
  };
  required(kPadding);
  vocabulary.unknown_ = required("[UNK]");
  vocabulary.cls_ = required("[CLS]");
  vocabulary.sep_ = required("[SEP]");
  vocabulary.mask_ = required("[MASK]");
  return vocabulary;
}

WordPieceIds Vocabulary::word_piece_ids() const {
  WordPieceIds ids{.cls = cls_, .sep = sep_, .mask = mask_};
  for (const std::string& piece : pieces_) {
    ids.continues.push_back(piece.size() > 2 && piece.starts_with("##"));
  }
  return ids;
}

}  // namespace sbm::data
