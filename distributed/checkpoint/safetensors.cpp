#include "distributed/checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "base/checked.h"
#include "distributed/checkpoint/printable.h"
#include "distributed/checkpoint/safetensors_sax.h"

namespace sbm::distributed::checkpoint {
namespace {

// The length field and the tensors are copied as they lie in memory.
static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kBufferAlignment = 64;

struct TypeEntry {
  DataType type;
  std::string_view name;
  std::uint64_t bits;
};

constexpr std::array kTypes = {
    TypeEntry{DataType::kF4, "F4", 4},
    TypeEntry{DataType::kF6E2M3, "F6_E2M3", 6},
    TypeEntry{DataType::kF6E3M2, "F6_E3M2", 6},
    TypeEntry{DataType::kBool, "BOOL", 8},
    TypeEntry{DataType::kU8, "U8", 8},
    TypeEntry{DataType::kI8, "I8", 8},
    TypeEntry{DataType::kF8E5M2, "F8_E5M2", 8},
    TypeEntry{DataType::kF8E4M3, "F8_E4M3", 8},
    TypeEntry{DataType::kF8E8M0, "F8_E8M0", 8},
    TypeEntry{DataType::kF8E4M3Fnuz, "F8_E4M3FNUZ", 8},
    TypeEntry{DataType::kF8E5M2Fnuz, "F8_E5M2FNUZ", 8},
    TypeEntry{DataType::kI16, "I16", 16},
    TypeEntry{DataType::kU16, "U16", 16},
    TypeEntry{DataType::kF16, "F16", 16},
    TypeEntry{DataType::kBF16, "BF16", 16},
    TypeEntry{DataType::kI32, "I32", 32},
    TypeEntry{DataType::kU32, "U32", 32},
    TypeEntry{DataType::kF32, "F32", 32},
    TypeEntry{DataType::kC64, "C64", 64},
    TypeEntry{DataType::kF64, "F64", 64},
    TypeEntry{DataType::kI64, "I64", 64},
    TypeEntry{DataType::kU64, "U64", 64},
};

constexpr std::string_view fault_name(SafetensorsFault fault) {
  switch (fault) {
    case SafetensorsFault::kHeaderTooSmall:
      return "HeaderTooSmall";
    case SafetensorsFault::kHeaderTooLarge:
      return "HeaderTooLarge";
    case SafetensorsFault::kInvalidHeaderLength:
      return "InvalidHeaderLength";
    case SafetensorsFault::kInvalidHeader:
      return "InvalidHeader";
    case SafetensorsFault::kInvalidHeaderDeserialization:
      return "InvalidHeaderDeserialization";
    case SafetensorsFault::kInvalidOffset:
      return "InvalidOffset";
    case SafetensorsFault::kValidationOverflow:
      return "ValidationOverflow";
    case SafetensorsFault::kMisalignedSlice:
      return "MisalignedSlice";
    case SafetensorsFault::kTensorInvalidInfo:
      return "TensorInvalidInfo";
    case SafetensorsFault::kMetadataIncompleteBuffer:
      return "MetadataIncompleteBuffer";
  }
  return "";
}

std::optional<std::uint64_t> element_bits(const std::vector<std::uint64_t>& shape, DataType type) {
  std::optional<std::uint64_t> product = 1;
  for (const std::uint64_t extent : shape) {
    product = checked_multiply(*product, extent);
    if (!product) return std::nullopt;
  }
  return checked_multiply(*product, data_type_bits(type));
}

// Checks 6 to 8 for one tensor whose offsets are in order.
void check_size(const TensorInfo& tensor, const std::string& path) {
  const auto refuse = [&](SafetensorsFault fault, const std::string& what) {
    throw SafetensorsError(fault,
                           fmt::format("{}: tensor {}: {}", path, printable(tensor.name), what));
  };
  const auto bits = element_bits(tensor.shape, tensor.type);
  if (!bits) refuse(SafetensorsFault::kValidationOverflow, "its shape does not fit 64 bits");
  if (*bits % 8 != 0) {
    refuse(SafetensorsFault::kMisalignedSlice, fmt::format("{} bits are no whole bytes", *bits));
  }
  if (tensor.end - tensor.begin != *bits / 8) {
    refuse(SafetensorsFault::kTensorInvalidInfo,
           fmt::format("shape and type need {} bytes, its offsets span {}", *bits / 8,
                       tensor.end - tensor.begin));
  }
}

}  // namespace

SafetensorsError::SafetensorsError(SafetensorsFault fault, const std::string& message)
    : CheckpointError(fmt::format("{} ({})", message, fault_name(fault))), fault_(fault) {}

std::string_view data_type_name(DataType type) {
  return kTypes[static_cast<std::size_t>(type)].name;
}

std::uint64_t data_type_bits(DataType type) { return kTypes[static_cast<std::size_t>(type)].bits; }

std::optional<DataType> parse_data_type(std::string_view name) {
  for (const TypeEntry& entry : kTypes) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

void sort_for_writing(std::vector<TensorToWrite>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& left, const auto& right) {
    const auto left_bits = data_type_bits(left.type);
    const auto right_bits = data_type_bits(right.type);
    return left_bits != right_bits ? left_bits > right_bits : left.name < right.name;
  });
}

std::string make_safetensors_header(const std::vector<TensorToWrite>& tensors,
                                    const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    if (tensor.type != DataType::kF32 && tensor.type != DataType::kI64) {
      throw InternalError(
          fmt::format("safetensors: {} is not written here", data_type_name(tensor.type)));
    }
    if (tensor.name == "__metadata__" || header.contains(tensor.name)) {
      throw CheckpointError("safetensors: the tensor name " + printable(tensor.name) +
                            " is reserved or used twice");
    }
    const auto bits = element_bits(tensor.shape, tensor.type);
    const auto end = bits ? checked_add(offset, *bits / 8) : std::nullopt;
    if (!end) {
      throw CheckpointError("safetensors: the size of tensor " + printable(tensor.name) +
                            " does not fit 64 bits");
    }
    header[tensor.name] = {{"dtype", data_type_name(tensor.type)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, *end}}};
    offset = *end;
  }
  std::string json;
  try {
    json = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw CheckpointError("safetensors: a tensor name or metadata is not UTF-8");
  }
  json.resize(round_up<std::uint64_t>(kLengthBytes + json.size(), kBufferAlignment) - kLengthBytes,
              ' ');
  if (json.size() > kLargestWrittenHeader) {
    throw CheckpointError(fmt::format("safetensors: a header of {} bytes, at most {} are written",
                                      json.size(), kLargestWrittenHeader));
  }
  const std::uint64_t length = json.size();
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, kLengthBytes);
  return bytes + json;
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_bytes,
                                           const std::string& path) {
  SafetensorsHeader header = parse_header_json(json, path);
  header.buffer_begin = kLengthBytes + json.size();
  auto& tensors = header.tensors;
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& left, const TensorInfo& right) {
    return std::tie(left.begin, left.end, left.name) < std::tie(right.begin, right.end, right.name);
  });
  std::uint64_t previous = 0;
  for (const TensorInfo& tensor : tensors) {
    // One rule forbids overlaps, holes and negative sizes alike.
    if (tensor.begin != previous || tensor.end < tensor.begin) {
      throw SafetensorsError(
          SafetensorsFault::kInvalidOffset,
          fmt::format("{}: tensor {} has offsets [{}, {}), expected to begin at {}", path,
                      printable(tensor.name), tensor.begin, tensor.end, previous));
    }
    check_size(tensor, path);
    previous = tensor.end;
  }
  const auto expected = checked_add(previous, header.buffer_begin);
  if (!expected || *expected != file_bytes) {
    throw SafetensorsError(
        SafetensorsFault::kMetadataIncompleteBuffer,
        fmt::format("{}: {} bytes of header and {} of tensors, but the file has {}", path,
                    header.buffer_begin, previous, file_bytes));
  }
  return header;
}

SafetensorsHeader read_safetensors_header(const File& file) {
  const std::uint64_t size = file.size();
  if (size < kLengthBytes) {
    throw SafetensorsError(
        SafetensorsFault::kHeaderTooSmall,
        fmt::format("{}: {} bytes, expected at least {}", file.path(), size, kLengthBytes));
  }
  std::uint64_t length = 0;
  file.read(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > kLargestHeader) {
    throw SafetensorsError(SafetensorsFault::kHeaderTooLarge,
                           fmt::format("{}: a header of {} bytes, expected at most {}", file.path(),
                                       length, kLargestHeader));
  }
  if (length > size - kLengthBytes) {
    throw SafetensorsError(
        SafetensorsFault::kInvalidHeaderLength,
        fmt::format("{}: a header of {} bytes in a file of {}", file.path(), length, size));
  }
  std::string json(length, '\0');
  file.read(kLengthBytes, std::as_writable_bytes(std::span(json)));
  return parse_safetensors_header(json, size, file.path());
}

}  // namespace sbm::distributed::checkpoint
