#include "distributed/checkpoint/safetensors_sax.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "distributed/checkpoint/printable.h"

namespace sbm::distributed::checkpoint {
namespace {

using Json = nlohmann::json;

// Where in the fixed grammar of a header the parser stands.
enum class Place { kOutside, kHeader, kMetadata, kTensor, kShape, kOffsets };

// Each member answers one event of the parser; returning false stops it at once, so nothing beyond
// the grammar is ever stored.
class HeaderSax final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a boolean"); }
  bool number_integer(number_integer_t) override { return refuse("a negative number"); }
  bool number_float(number_float_t, const string_t& text) override {
    return refuse("the number " + printable(text) + ", which is no integer of 64 bits");
  }
  bool binary(binary_t&) override { return refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape) {
      if (tensor_.shape.size() == kMostDimensions) {
        return refuse(fmt::format("more than {} dimensions", kMostDimensions));
      }
      tensor_.shape.push_back(value);
      return true;
    }
    if (place_ != Place::kOffsets) return refuse("a number");
    if (offsets_ == 2) return refuse("a third offset");
    (offsets_++ == 0 ? tensor_.begin : tensor_.end) = value;
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      header_.metadata.emplace(key_, std::move(value));
      return true;
    }
    if (place_ != Place::kTensor || key_ != "dtype") return refuse("a string");
    const auto type = parse_data_type(value);
    if (!type) return refuse("the unknown dtype " + printable(value));
    tensor_.type = *type;
    return true;
  }

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::kOutside:
        place_ = Place::kHeader;
        return true;
      case Place::kHeader:
        if (key_ == "__metadata__") {
          if (has_metadata_) return refuse("a second __metadata__");
          has_metadata_ = true;
          place_ = Place::kMetadata;
          return true;
        }
        tensor_ = TensorInfo{};
        tensor_.name = key_;
        has_type_ = has_shape_ = has_offsets_ = false;
        place_ = Place::kTensor;
        return true;
      default:
        return refuse("an object");
    }
  }

  bool key(string_t& value) override {
    key_ = std::move(value);
    if (place_ == Place::kMetadata && header_.metadata.contains(key_)) {
      return refuse("a second " + printable(key_));
    }
    if (place_ == Place::kTensor) {
      bool* const seen = key_ == "dtype"          ? &has_type_
                         : key_ == "shape"        ? &has_shape_
                         : key_ == "data_offsets" ? &has_offsets_
                                                  : nullptr;
      if (seen == nullptr) return refuse("the unknown key " + printable(key_));
      if (*seen) return refuse("a second " + printable(key_));
      *seen = true;
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      if (!has_type_ || !has_shape_ || !has_offsets_) {
        return refuse("an entry without dtype, shape or data_offsets");
      }
      header_.tensors.push_back(std::move(tensor_));
    }
    place_ = place_ == Place::kHeader ? Place::kOutside : Place::kHeader;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::kTensor && key_ == "shape") {
      place_ = Place::kShape;
      return true;
    }
    if (place_ == Place::kTensor && key_ == "data_offsets") {
      place_ = Place::kOffsets;
      offsets_ = 0;
      return true;
    }
    return refuse("an array");
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && offsets_ != 2) return refuse("a single offset");
    place_ = Place::kTensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const Json::exception& error) override {
    fault_ = fmt::format("not valid JSON at byte {}: {}", position, printable(error.what()));
    return false;
  }

  SafetensorsHeader& header() { return header_; }
  [[nodiscard]] const std::string& fault() const { return fault_; }

 private:
  bool refuse(const std::string& what) {
    fault_ = "unexpected " + what;
    if (place_ == Place::kTensor || place_ == Place::kShape || place_ == Place::kOffsets) {
      fault_ += " in tensor " + printable(tensor_.name);
    }
    return false;
  }

  SafetensorsHeader header_;
  Place place_ = Place::kOutside;
  std::string key_;
  TensorInfo tensor_;
  int offsets_ = 0;
  bool has_metadata_ = false;
  bool has_type_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  std::string fault_;
};

// A sorted list of pointers costs less than a set of names, which matters with a million of them.
std::optional<std::string> duplicate_name(const std::vector<TensorInfo>& tensors) {
  std::vector<const std::string*> names;
  names.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) names.push_back(&tensor.name);
  const auto less = [](const auto* left, const auto* right) { return *left < *right; };
  std::sort(names.begin(), names.end(), less);
  const auto same = [](const auto* left, const auto* right) { return *left == *right; };
  const auto found = std::adjacent_find(names.begin(), names.end(), same);
  if (found == names.end()) return std::nullopt;
  return **found;
}

}  // namespace

SafetensorsHeader parse_header_json(std::string_view json, const std::string& path) {
  // The library skips a byte order mark and takes NUL for the end of the text: both would let a
  // file mean different things to different readers.
  if (json.find('\0') != std::string_view::npos || json.starts_with("\xEF\xBB\xBF")) {
    throw SafetensorsError(SafetensorsFault::kInvalidHeader,
                           path + ": the header holds a NUL byte or a byte order mark");
  }
  HeaderSax sax;
  if (!Json::sax_parse(json, &sax)) {
    throw SafetensorsError(SafetensorsFault::kInvalidHeaderDeserialization,
                           path + ": header: " + sax.fault());
  }
  if (const auto name = duplicate_name(sax.header().tensors)) {
    throw SafetensorsError(SafetensorsFault::kInvalidHeaderDeserialization,
                           path + ": header: two tensors are named " + printable(*name));
  }
  return std::move(sax.header());
}

}  // namespace sbm::distributed::checkpoint
