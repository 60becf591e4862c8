#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

// Text as bytes, for the Long Range Arena's Text and Retrieval: id = byte + 1, 0 is padding
// (tfds ByteTextEncoder). Stored as the bytes themselves, so that they fit u8.
namespace sbm::data {

constexpr std::int32_t kByteVocabulary = 257;
constexpr std::int32_t kByteTokenOffset = 1;

/// The stored tokens of a text: its first `max_length` bytes, all of them when that is 0.
inline std::span<const std::uint8_t> byte_tokens(std::string_view text, std::int64_t max_length) {
  const auto limit = max_length == 0 ? text.size() : static_cast<std::size_t>(max_length);
  return {reinterpret_cast<const std::uint8_t*>(text.data()), std::min(text.size(), limit)};
}

}  // namespace sbm::data
