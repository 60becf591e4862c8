#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "distributed/checkpoint/durable_file.h"
#include "distributed/checkpoint/manifest.h"
#include "distributed/checkpoint/safetensors.h"

namespace sbm::distributed::checkpoint {

/// The `__metadata__` of every tensor file: "format" is what other readers look for.
std::map<std::string, std::string> tensor_file_metadata(std::int64_t step);

/// Writes one safetensors file as its data arrives, in pieces of any size, and hashes what it
/// writes: the file, its header, and every tensor block by block.
class TensorFileWriter {
 public:
  /// Creates the file and writes the header. `tensors` in file order.
  TensorFileWriter(const Directory& folder, std::string name, std::vector<TensorToWrite> tensors,
                   const std::map<std::string, std::string>& metadata, mode_t mode = 0600);

  /// The next bytes of the buffer.
  void append(std::span<const std::byte> bytes);
  /// Syncs and closes. Throws InternalError unless exactly the tensors' bytes have come.
  void finish();

  [[nodiscard]] const std::string& name() const { return name_; }
  /// What was written, after finish().
  [[nodiscard]] const FileRecord& record() const { return record_; }
  [[nodiscard]] const std::map<std::string, TensorRecord>& tensors() const { return records_; }

 private:
  // Steps over tensors without bytes and closes the block that is full.
  void close_finished();

  std::string name_;
  File file_;
  FileRecord record_;
  std::map<std::string, TensorRecord> records_;
  std::vector<TensorRecord*> order_;
  std::size_t current_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t block_begin_ = 0;
  ContentHasher file_hasher_;
  ContentHasher block_hasher_;
};

}  // namespace sbm::distributed::checkpoint
