// Times the tokenizer on one thread:
//   tokenizer_bench VOCABULARY TEXT
// prints the fastest of five passes over the lines of TEXT (tests/bench/wordpiece.py: the same work
// by the published algorithm in Python).

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <limits>
#include <string_view>
#include <vector>

#include "data/mapped_file.h"
#include "data/text_lines.h"
#include "data/wordpiece.h"

namespace {

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void measure(const char* vocabulary, const char* path) {
  const sbm::data::WordPieceTokenizer tokenizer(sbm::data::Vocabulary::read(vocabulary));
  const sbm::data::MappedFile file(path);
  double best = std::numeric_limits<double>::infinity();
  std::size_t tokens = 0;
  for (int pass = 0; pass < 5; ++pass) {
    std::string_view text = sbm::data::as_text(file);
    std::vector<std::uint16_t> ids;
    tokens = 0;
    const double begin = processor_seconds();
    while (!text.empty()) {
      ids.clear();
      tokenizer.append_ids(sbm::data::take_line(text), ids);
      tokens += ids.size();
    }
    best = std::min(best, processor_seconds() - begin);
  }
  std::printf("%zu bytes, %zu tokens: %.3f s, %.2f million tokens/s, %.1f MB/s\n",
              file.bytes().size(), tokens, best, 1e-6 * static_cast<double>(tokens) / best,
              1e-6 * static_cast<double>(file.bytes().size()) / best);
}

}  // namespace

int main(int count, char** values) {
  if (count != 3) {
    std::fprintf(stderr, "usage: tokenizer_bench VOCABULARY TEXT\n");
    return 2;
  }
  try {
    measure(values[1], values[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
  return 0;
}
