#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>

namespace sbm {

/// XXH3-128 (seed 0) of some bytes. It finds accidents; it does not resist someone who forges.
struct ContentHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const ContentHash&, const ContentHash&) = default;

  /// 32 lower-case hexadecimal digits, most significant first, as `xxh128sum` prints them.
  [[nodiscard]] std::string hex() const {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const std::uint64_t word : {high, low}) {
      for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[(word >> shift) & 15];
    }
    return text;
  }
};

/// Hash of bytes that arrive in pieces.
class ContentHasher {
 public:
  ContentHasher() : state_(XXH3_createState()) {
    if (!state_) throw std::bad_alloc();
    reset();
  }

  void update(std::span<const std::byte> bytes) {
    XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
  }
  /// The hash of everything since the start or the last reset().
  [[nodiscard]] ContentHash digest() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return {hash.high64, hash.low64};
  }
  void reset() { XXH3_128bits_reset(state_.get()); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

/// Hash of bytes that are all there.
inline ContentHash content_hash(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}
inline ContentHash content_hash(std::string_view text) {
  return content_hash(std::as_bytes(std::span(text)));
}

}  // namespace sbm
