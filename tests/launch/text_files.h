#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

// Small files in official formats, made of the words w0 to w9.
namespace sbm::launch {

/// "w3" and so on.
inline std::string numbered(std::string text, int number) { return text += std::to_string(number); }

/// Words w0 to w9, the first one at `from`.
inline std::string sentence(int from, int words) {
  std::string text = numbered("w", from % 10);
  for (int i = 1; i < words; ++i) text += numbered(" w", (from + i * i) % 10);
  return text;
}

inline void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

inline void write_vocabulary(const std::filesystem::path& file) {
  std::string text = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  for (int i = 0; i < 10; ++i) text += numbered("w", i) + "\n";
  write(file, text);
}

inline void write_mrpc(const std::filesystem::path& folder) {
  const auto labelled = [](int rows, int seed) {
    std::ostringstream text;
    text << "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
    for (int i = 0; i < rows; ++i) {
      const int from = seed + 7 * i;
      text << i * i % 3 % 2 << "\t1\t2\t" << sentence(from, 2 + i % 7) << "\t"
           << sentence(from + 1, 1 + i % 5) << "\n";
    }
    return text.str();
  };
  write(folder / "train.tsv", labelled(60, 0));
  write(folder / "dev.tsv", labelled(25, 3));
  write(folder / "test.tsv",
        "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\tw1 w2\tw3\n1\t3\t4\tw4\tw5 w6\n");
}

}  // namespace sbm::launch
