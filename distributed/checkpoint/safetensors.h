#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "distributed/checkpoint/durable_file.h"

// The safetensors format (huggingface/safetensors, README "Format"): a length, a JSON header, raw
// little-endian tensors without holes. Reading trusts nothing: each size is checked against the
// file before memory is spent on it.
namespace sbm::distributed::checkpoint {

/// Element types of the format. Only kF32 and kI64 are written here; all are read.
enum class DataType {
  kF4,
  kF6E2M3,
  kF6E3M2,
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};

/// "F32" and the like.
std::string_view data_type_name(DataType type);
/// The type of that name, if there is one.
std::optional<DataType> parse_data_type(std::string_view name);
/// Bits of one element.
std::uint64_t data_type_bits(DataType type);

/// One tensor of a file. [begin, end) are bytes within the buffer that follows the header.
struct TensorInfo {
  std::string name;
  DataType type = DataType::kF32;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const TensorInfo&) const = default;
};

/// What a header says.
struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<TensorInfo> tensors;  ///< by offset
  std::uint64_t buffer_begin = 0;   ///< byte of the file at which the buffer starts
};

/// Why a file is refused, in the order of the checks (the reference implementation's names).
enum class SafetensorsFault {
  kHeaderTooSmall,
  kHeaderTooLarge,
  kInvalidHeaderLength,
  kInvalidHeader,
  kInvalidHeaderDeserialization,
  kInvalidOffset,
  kValidationOverflow,
  kMisalignedSlice,
  kTensorInvalidInfo,
  kMetadataIncompleteBuffer,
};

class SafetensorsError : public CheckpointError {
 public:
  SafetensorsError(SafetensorsFault fault, const std::string& message);
  [[nodiscard]] SafetensorsFault fault() const { return fault_; }

 private:
  SafetensorsFault fault_;
};

/// The reference's limit: 100 million bytes of header.
inline constexpr std::uint64_t kLargestHeader = 100'000'000;
/// Headers written here stay far below it.
inline constexpr std::uint64_t kLargestWrittenHeader = std::uint64_t{16} << 20;
/// Dimensions of a tensor; LibTorch's own limit.
inline constexpr std::size_t kMostDimensions = 64;

/// A tensor about to be written.
struct TensorToWrite {
  std::string name;
  DataType type = DataType::kF32;  ///< kF32 or kI64
  std::vector<std::uint64_t> shape;
};

/// The order in which tensors lie in a file: by falling size of an element, then by name.
void sort_for_writing(std::vector<TensorToWrite>& tensors);

/// Length field and JSON header for `tensors` in that order, padded with spaces so that the buffer
/// starts at a multiple of 64 bytes. Throws CheckpointError on a duplicate or reserved name, a size
/// that overflows, or a header above kLargestWrittenHeader.
std::string make_safetensors_header(const std::vector<TensorToWrite>& tensors,
                                    const std::map<std::string, std::string>& metadata);

/// Parses the JSON of a header (without the length field) of a file of `file_bytes` in all and
/// makes every check from 4 to 9. `path` is for messages. Throws SafetensorsError.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_bytes,
                                           const std::string& path);

/// Reads and checks the header of an open file (checks 1 to 9).
SafetensorsHeader read_safetensors_header(const File& file);

}  // namespace sbm::distributed::checkpoint
