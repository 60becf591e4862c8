#pragma once

#include <string>
#include <string_view>

#include "distributed/checkpoint/safetensors.h"

namespace sbm::distributed::checkpoint {

/// Check 4 of the reader: the JSON of a header, event by event, so that neither depth nor a million
/// entries cost more than what they say. Tensors come in the order of the text, their offsets
/// unchecked. Throws SafetensorsError: kInvalidHeader for NUL bytes and byte order marks,
/// kInvalidHeaderDeserialization for bad UTF-8 or JSON, anything but the keys and types of the
/// format, and duplicates.
SafetensorsHeader parse_header_json(std::string_view json, const std::string& path);

}  // namespace sbm::distributed::checkpoint
