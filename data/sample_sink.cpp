#include "data/sample_sink.h"

#include <fmt/format.h>

#include "base/error.h"

namespace sbm::data {
namespace {

constexpr std::uint64_t kProgressInterval = 64;

std::string place_of(const std::string& file, std::uint64_t line) {
  return line == 0 ? file : fmt::format("{}:{}", file, line);
}

}  // namespace

void SampleSink::add(std::size_t split, const SampleView& sample) {
  writer_.add(split, sample);
  ++samples_;
  if (progress_ && (samples_ % kProgressInterval == 0 || samples_ == total_)) {
    progress_({.samples = samples_, .total = total_});
  }
}

void SampleSink::bad_row(const std::filesystem::path& file, std::uint64_t line,
                         const std::string& reason) {
  if (std::ssize(skipped_) >= skip_bad_rows_) {
    const std::string place = fmt::format("{}: {}", place_of(file.string(), line), reason);
    if (skip_bad_rows_ == 0) throw DataError(place);
    const SkippedRow& first = skipped_.front();
    throw DataError(fmt::format("{}\nexpected at most {} bad rows, found more; the first was {}",
                                place, skip_bad_rows_, place_of(first.file, first.line)));
  }
  skipped_.push_back(
      {.file = file.lexically_relative(source_).generic_string(), .line = line, .reason = reason});
}

}  // namespace sbm::data
