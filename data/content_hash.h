#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace sbm::data {

/// A 128-bit XXH3 hash. It guards against accidents, not against forgery.
struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

/// XXH3-64 of `bytes`, seed 0.
std::uint64_t hash64(std::span<const std::uint8_t> bytes);

/// XXH3-128 of `bytes`, seed 0.
Hash128 hash128(std::span<const std::uint8_t> bytes);

/// 32 lower-case hexadecimal digits, most significant first, as `xxh128sum` prints them.
std::string hex(const Hash128& hash);

/// XXH3-128 of bytes that come in pieces.
class StreamingHash128 {
 public:
  StreamingHash128();
  ~StreamingHash128();
  StreamingHash128(const StreamingHash128&) = delete;
  StreamingHash128& operator=(const StreamingHash128&) = delete;

  void update(std::span<const std::uint8_t> bytes);
  [[nodiscard]] Hash128 digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sbm::data
