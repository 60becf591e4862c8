#include "data/sentences.h"

#include <cstddef>

namespace sbm::data {
namespace {

constexpr std::string_view kLineBreak = "<br />";

}  // namespace

void split_sentences(std::string_view text, const std::function<void(std::string_view)>& take) {
  std::size_t begin = 0;
  const auto cut = [&](std::size_t end, std::size_t next) {
    const std::string_view sentence = text.substr(begin, end - begin);
    if (sentence.find_first_not_of(" \t\r\n") != std::string_view::npos) take(sentence);
    begin = next;
  };
  std::size_t at = 0;
  while ((at = text.find_first_of(".!?<", at)) != std::string_view::npos) {
    if (text[at] == '<') {
      if (text.substr(at).starts_with(kLineBreak)) {
        cut(at, at + kLineBreak.size());
        at = begin;
      } else {
        ++at;
      }
      continue;
    }
    at = text.find_first_not_of(".!?\"')]", at);
    if (at == std::string_view::npos) break;
    if (text[at] == ' ') {
      cut(at, at + 1);
      ++at;
    }
  }
  cut(text.size(), text.size());
}

}  // namespace sbm::data
