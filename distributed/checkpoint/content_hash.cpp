#include "distributed/checkpoint/content_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <charconv>
#include <new>

namespace sbm::distributed::checkpoint {
namespace {

ContentHash from_library(XXH128_hash_t hash) { return {hash.high64, hash.low64}; }

}  // namespace

std::string ContentHash::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

std::optional<ContentHash> parse_content_hash(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  const auto word = [](std::string_view digits) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + 16, value, 16);
    if (error != std::errc() || end != digits.data() + 16) return std::nullopt;
    return value;
  };
  const auto high = word(text.substr(0, 16));
  const auto low = word(text.substr(16));
  if (!high || !low) return std::nullopt;
  const ContentHash hash{*high, *low};
  // One spelling for one hash: capitals are refused, so a manifest has one form only.
  if (hash.hex() != text) return std::nullopt;
  return hash;
}

ContentHasher::ContentHasher() : state_(XXH3_createState()) {
  if (!state_) throw std::bad_alloc();
  reset();
}

void ContentHasher::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

void ContentHasher::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

ContentHash ContentHasher::digest() const {
  return from_library(XXH3_128bits_digest(state_.get()));
}

void ContentHasher::reset() { XXH3_128bits_reset(state_.get()); }

ContentHash content_hash(std::span<const std::byte> bytes) {
  return from_library(XXH3_128bits(bytes.data(), bytes.size()));
}

ContentHash content_hash(std::string_view text) {
  return content_hash(std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace sbm::distributed::checkpoint
