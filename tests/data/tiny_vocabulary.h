#pragma once

#include <string>

#include "data/vocabulary.h"

namespace sbm::data {

/// A vocabulary for tests: the five special pieces and a few words, parts and marks.
inline const std::string& tiny_vocabulary_text() {
  static const std::string text =
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"                         // 0-4
      "un\n##aff\n##able\n##a\n##able##\n"                           // 5-9
      "the\ncafe\ncat\nsat\nC\n"                                     // 10-14
      "Cafe\n[\n]\n.\n,\n"                                           // 15-19
      "\xe4\xbd\xa0\n\xce\xbf\xce\xb4\xce\xbf\xcf\x82\nx\n##x\n<\n"  // 20-24: 你, οδος, x, ##x, <
      "sep\nmask\n'\n\xe2\x80\x9c\nCaf\xc3\xa9\n"                    // 25-29: “, Café
      "##s\na\nb\n##b\n##\xcc\xb8\n";                                // 30-34
  return text;
}

inline Vocabulary tiny_vocabulary() { return Vocabulary::parse(tiny_vocabulary_text(), "tiny"); }

}  // namespace sbm::data
