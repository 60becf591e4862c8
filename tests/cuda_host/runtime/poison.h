#pragma once

#include <cstddef>

#ifdef SBM_HOST_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace sbm::cuda_host {

/// What fresh and padding bytes hold: NaN in every float format, -1 in every integer.
inline constexpr unsigned char kPoisonByte = 0xFF;

/// Tells AddressSanitizer, where it is there, that nobody may (or anybody may) touch these bytes.
inline void forbid([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t bytes) {
#ifdef SBM_HOST_ASAN
  __asan_poison_memory_region(begin, bytes);
#endif
}
inline void allow([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t bytes) {
#ifdef SBM_HOST_ASAN
  __asan_unpoison_memory_region(begin, bytes);
#endif
}

}  // namespace sbm::cuda_host
