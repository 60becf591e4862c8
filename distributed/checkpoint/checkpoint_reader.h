#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "distributed/checkpoint/durable_file.h"
#include "distributed/checkpoint/manifest.h"

namespace sbm::distributed::checkpoint {

/// Reads one checkpoint folder and hands out only bytes whose hash it has checked. Every member
/// throws CheckpointError naming file, tensor and offset of what is wrong, FileError when the disk
/// fails.
class CheckpointReader {
 public:
  /// Reads the manifest and checks that the folder holds the files it names, no others, each of the
  /// right size; all that is wrong is listed at once.
  explicit CheckpointReader(Directory folder);

  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }
  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  /// Hash of the manifest's bytes: equal for equal checkpoints.
  [[nodiscard]] const ContentHash& identity() const { return identity_; }

  /// A whole JSON file.
  [[nodiscard]] std::string read_text(const std::string& name) const;
  /// writer.json, opened.
  [[nodiscard]] nlohmann::json read_writer() const;

  /// Part of a tensor: at `offset` from its first byte.
  using Sink = std::function<void(std::uint64_t offset, std::span<const std::byte> bytes)>;
  /// Gives bytes [begin, end) of the tensor to `sink`, in order, in pieces of at most a block.
  void read_tensor(const std::string& name, std::uint64_t begin, std::uint64_t end,
                   const Sink& sink);

  /// Reads everything and checks every hash.
  void verify();

 private:
  void check_files() const;
  const File& open_tensor_file(const std::string& name);
  void check_header(const File& file, const std::string& name) const;
  // One block of a tensor, read into buffer_ and checked.
  std::span<const std::byte> read_block(const File& file, const std::string& tensor_name,
                                        const TensorRecord& tensor, std::uint64_t block);
  void verify_tensor_file(const std::string& name, const FileRecord& record);

  Directory folder_;
  Manifest manifest_;
  ContentHash identity_;
  std::map<std::string, File> open_files_;
  std::vector<std::byte> buffer_;
};

}  // namespace sbm::distributed::checkpoint
