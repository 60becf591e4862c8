#pragma once

#include <xxhash.h>

#include <cstdint>
#include <span>

namespace sbm::data {

/// XXH3-64 of `bytes`, seed 0: enough for a block, where 128 bits would double the table.
inline std::uint64_t hash64(std::span<const std::uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace sbm::data
