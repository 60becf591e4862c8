#include "data/content_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <new>

namespace sbm::data {

struct StreamingHash128::State {
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> value{XXH3_createState()};
};

std::uint64_t hash64(std::span<const std::uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

Hash128 hash128(std::span<const std::uint8_t> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}

std::string hex(const Hash128& hash) { return fmt::format("{:016x}{:016x}", hash.high, hash.low); }

StreamingHash128::StreamingHash128() : state_(std::make_unique<State>()) {
  if (!state_->value) throw std::bad_alloc();
  XXH3_128bits_reset(state_->value.get());
}

StreamingHash128::~StreamingHash128() = default;

void StreamingHash128::update(std::span<const std::uint8_t> bytes) {
  XXH3_128bits_update(state_->value.get(), bytes.data(), bytes.size());
}

Hash128 StreamingHash128::digest() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->value.get());
  return {hash.high64, hash.low64};
}

}  // namespace sbm::data
