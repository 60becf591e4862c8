#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <system_error>

#include "base/error.h"
#include "data/tokenize_lines.h"
#include "launch/command.h"

namespace sbm::launch {
namespace {

struct Options {
  std::string vocabulary;
  std::string file;
  bool cased = false;
  int max_word_length = data::WordPieceOptions{}.max_word_length;
};

// Standard input, or a file that is closed again.
class Input {
 public:
  explicit Input(const std::string& file) {
    if (file.empty()) return;
    std::error_code ignored;
    if (std::filesystem::is_directory(file, ignored)) {
      throw DataError(file + ": expected a text file, found a folder");
    }
    descriptor_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) {
      throw DataError(
          fmt::format("{}: cannot open: {}", file, std::generic_category().message(errno)));
    }
  }
  ~Input() {
    if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = STDIN_FILENO;
};

int run_tokenize(const Options& options) {
  const data::WordPieceTokenizer tokenizer(
      data::Vocabulary::read(options.vocabulary),
      {.lower_case = !options.cased, .max_word_length = options.max_word_length});
  const Input input(options.file);
  data::tokenize_lines(input.descriptor(), options.file.empty() ? "standard input" : options.file,
                       tokenizer, std::cout);
  return kDone;
}

}  // namespace

void add_tokenize_command(CLI::App& data_command, Action& action) {
  CLI::App* command = data_command.add_subcommand(
      "tokenize", "Write the WordPiece ids of each line of a text as a JSON array");
  auto options = std::make_shared<Options>();
  command->add_option("--vocab", options->vocabulary, "Vocabulary: one piece a line")->required();
  command->add_flag("--cased", options->cased, "The vocabulary is a cased one");
  command
      ->add_option("--max-word-length", options->max_word_length,
                   "A word of more characters becomes [UNK]")
      ->capture_default_str()
      ->check(CLI::Range(1, data::kMaxWordLength));
  command->add_option("file", options->file, "Text, UTF-8 [standard input]");
  command->callback(
      [options, &action] { action = [options](Session&) { return run_tokenize(*options); }; });
}

}  // namespace sbm::launch
