#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "trainer/output_file.h"

namespace sbm::trainer {

/// Scalars for TensorBoard: TFRecord frames (length, masked CRC-32C, data, masked CRC-32C) of Event
/// messages, in a new file events.out.tfevents.<seconds>.<host>.<pid> for each start of a run.
class EventFile {
 public:
  /// `resume_step`: what earlier files recorded after this step is superseded. Throws ConfigError
  /// naming the file when it cannot be written.
  EventFile(const std::filesystem::path& folder, std::int64_t resume_step);

  /// Records all scalars of one step and flushes.
  void scalars(std::int64_t step, const std::vector<std::pair<std::string, double>>& values);

 private:
  EventFile(const std::filesystem::path& folder, std::int64_t resume_step, bool has_earlier_files);
  void write(const std::string& data);

  AppendedFile file_;
};

/// CRC-32C (Castagnoli) of the bytes, as TFRecord uses it, before masking.
std::uint32_t crc32c(const std::string& bytes);

}  // namespace sbm::trainer
