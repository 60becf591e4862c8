#include "data/tokenize_lines.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <ostream>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/error.h"

namespace sbm::data {
namespace {

constexpr std::size_t kReadBytes = std::size_t{256} << 10;

// Appends what can be read now to `text`; false at the end of the input.
bool read_more(int descriptor, const std::string& name, std::string& text) {
  const std::size_t size = text.size();
  text.resize(size + kReadBytes);
  ssize_t got = 0;
  do {
    got = ::read(descriptor, text.data() + size, kReadBytes);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    throw DataError(
        fmt::format("{}: cannot read: {}", name, std::generic_category().message(errno)));
  }
  text.resize(size + static_cast<std::size_t>(got));
  return got > 0;
}

class Answers {
 public:
  Answers(const WordPieceTokenizer& tokenizer, std::ostream& out)
      : tokenizer_(tokenizer), out_(out) {}

  void add(std::string_view line) {
    ids_.clear();
    tokenizer_.append_ids(line, ids_);
    char separator = '[';
    if (ids_.empty()) text_ += separator;
    for (const std::uint16_t id : ids_) {
      std::array<char, 8> digits{};
      const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), id).ptr;
      text_ += separator;
      text_.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
      separator = ',';
    }
    text_ += "]\n";
    if (text_.size() >= kReadBytes) write();
  }

  void flush() {
    write();
    errno = 0;
    out_.flush();
    require_written();
  }

 private:
  void write() {
    errno = 0;
    out_.write(text_.data(), std::ssize(text_));
    require_written();
    text_.clear();
  }

  // Streams tell no reason; what the system said last is it.
  void require_written() const {
    const int reason = errno;
    if (out_) return;
    throw ConfigError(
        "cannot write the ids" +
        (reason == 0 ? std::string() : ": " + std::generic_category().message(reason)));
  }

  const WordPieceTokenizer& tokenizer_;
  std::ostream& out_;
  std::vector<std::uint16_t> ids_;
  std::string text_;
};

}  // namespace

void tokenize_lines(int descriptor, const std::string& name, const WordPieceTokenizer& tokenizer,
                    std::ostream& out) {
  Answers answers(tokenizer, out);
  std::string text;  // not yet answered
  std::uint64_t line = 1;
  for (;;) {
    // Only what is new is searched: a long line costs no more for coming in pieces.
    std::size_t searched = text.size();
    const bool more = read_more(descriptor, name, text);
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text.find('\n', searched)) != std::string::npos;) {
      answers.add(std::string_view(text).substr(begin, end - begin));
      begin = searched = end + 1;
      ++line;
    }
    if (!more) {
      if (begin < text.size()) answers.add(std::string_view(text).substr(begin));
      answers.flush();
      return;
    }
    text.erase(0, begin);
    if (text.size() >= kMaxTextLine) {
      throw DataError(fmt::format("{}:{}: expected a line of fewer than {} bytes, found more", name,
                                  line, kMaxTextLine));
    }
    if (begin > 0) answers.flush();
  }
}

}  // namespace sbm::data
