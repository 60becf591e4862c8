#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace sbm::distributed::checkpoint {

/// XXH3-128 of some bytes. Finds every accident; does not resist someone who forges on purpose.
struct ContentHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  bool operator==(const ContentHash&) const = default;
  /// 32 lower-case hexadecimal digits, the canonical (big-endian) form of xxHash.
  [[nodiscard]] std::string hex() const;
};

/// The inverse of ContentHash::hex(); nothing when `text` is anything else.
std::optional<ContentHash> parse_content_hash(std::string_view text);

/// Hash of bytes that arrive in pieces.
class ContentHasher {
 public:
  ContentHasher();

  void update(std::span<const std::byte> bytes);
  /// The hash of everything since the start or the last reset().
  [[nodiscard]] ContentHash digest() const;
  void reset();

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

/// Hash of bytes that are all there.
ContentHash content_hash(std::span<const std::byte> bytes);
ContentHash content_hash(std::string_view text);

}  // namespace sbm::distributed::checkpoint
