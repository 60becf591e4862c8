#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "tests/fuzz/target.h"

// Runs a fuzz target without a fuzzer: over every file of a folder as it is, and over random
// changes of it with a fixed seed.
//
//   <target>_seeds FOLDER [CHANGES OF EACH FILE]
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void run(const Bytes& bytes) { LLVMFuzzerTestOneInput(bytes.data(), bytes.size()); }

// One to four of: a bit flipped, a byte drawn, the end cut off, a piece doubled.
Bytes changed(Bytes bytes, std::mt19937_64& random) {
  for (std::uint64_t i = 1 + random() % 4; i > 0 && !bytes.empty(); --i) {
    const std::size_t at = random() % bytes.size();
    switch (random() % 4) {
      case 0:
        bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U << random() % 8));
        break;
      case 1:
        bytes[at] = static_cast<std::uint8_t>(random());
        break;
      case 2:
        bytes.resize(at);
        break;
      default: {
        const std::size_t length = std::min<std::size_t>(bytes.size() - at, 1 + random() % 64);
        const Bytes piece(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                          bytes.begin() + static_cast<std::ptrdiff_t>(at + length));
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), piece.begin(), piece.end());
      }
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FOLDER [CHANGES]\n", argv[0]);
    return 2;
  }
  const int changes = argc > 2 ? std::stoi(argv[2]) : 0;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    std::fprintf(stderr, "%s: expected seeds, found none\n", argv[1]);
    return 1;
  }
  run({});
  std::mt19937_64 random(1);
  for (const auto& file : files) {
    const Bytes seed = read_file(file);
    run(seed);
    for (int i = 0; i < changes; ++i) run(changed(seed, random));
  }
  std::printf("%zu seeds, %d changes of each\n", files.size(), changes);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
