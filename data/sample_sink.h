#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "data/build.h"
#include "data/dataset_writer.h"

namespace sbm::data {

/// Takes the samples of a build: passes them on to the writer, tells how far the build is, and
/// counts the rows that a builder could not use. One thread.
class SampleSink {
 public:
  /// At most `skip_bad_rows` rows may be bad; their files are noted relative to the folder
  /// `source`. `writer` and `progress` outlive the sink.
  SampleSink(DatasetWriter& writer, std::filesystem::path source, std::int64_t skip_bad_rows,
             const std::function<void(const BuildProgress&)>& progress)
      : writer_(writer),
        source_(std::move(source)),
        skip_bad_rows_(skip_bad_rows),
        progress_(progress) {}

  /// Says how many samples are to come; without it the total stays unknown.
  void expect(std::uint64_t samples) { total_ = samples; }

  /// Appends a sample to split number `split`, as DatasetWriter::add().
  void add(std::size_t split, const SampleView& sample);

  /// Notes that a row of a source file, or the whole file (line 0), is unusable. Throws DataError
  /// "file:line: reason" when more rows are bad than the request allows.
  void bad_row(const std::filesystem::path& file, std::uint64_t line, const std::string& reason);

  /// Keeps a remark on the source files for the report and the index.
  void note(std::string text) { notes_.push_back(std::move(text)); }

  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] const std::vector<SkippedRow>& skipped() const { return skipped_; }

 private:
  DatasetWriter& writer_;
  std::filesystem::path source_;
  std::int64_t skip_bad_rows_;
  const std::function<void(const BuildProgress&)>& progress_;
  std::uint64_t total_ = 0;
  std::uint64_t samples_ = 0;
  std::vector<SkippedRow> skipped_;
  std::vector<std::string> notes_;
};

}  // namespace sbm::data
