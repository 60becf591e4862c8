// With -fsanitize=thread the compiler calls these functions before every access to memory. They
// stand in for libtsan, which knows neither fibers nor CUDA's rules of order. Built into the race
// build only, itself without instrumentation.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cuda_host/runtime/block.h"
#include "cuda_host/runtime/race.h"

using sbm::cuda_host::Block;
using sbm::cuda_host::race::Kind;

namespace {

void check(const void* address, std::size_t bytes, Kind kind, const void* code) {
  auto* thread = Block::checked();
  if (thread == nullptr || bytes == 0) return;
  const sbm::cuda_host::Outside outside;
  sbm::cuda_host::race::access_anywhere(*thread, address, bytes, kind, code);
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the compiler's.
extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void* /*caller*/) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void** /*object*/, void* /*table*/) {}
void __tsan_vptr_read(void** /*object*/) {}

#define SBM_HOOKS(bytes)                                              \
  void __tsan_read##bytes(void* address) {                            \
    check(address, bytes, Kind::kRead, __builtin_return_address(0));  \
  }                                                                   \
  void __tsan_write##bytes(void* address) {                           \
    check(address, bytes, Kind::kWrite, __builtin_return_address(0)); \
  }                                                                   \
  void __tsan_unaligned_read##bytes(void* address) {                  \
    check(address, bytes, Kind::kRead, __builtin_return_address(0));  \
  }                                                                   \
  void __tsan_unaligned_write##bytes(void* address) {                 \
    check(address, bytes, Kind::kWrite, __builtin_return_address(0)); \
  }                                                                   \
  void __tsan_volatile_read##bytes(void* address) {                   \
    check(address, bytes, Kind::kRead, __builtin_return_address(0));  \
  }                                                                   \
  void __tsan_volatile_write##bytes(void* address) {                  \
    check(address, bytes, Kind::kWrite, __builtin_return_address(0)); \
  }
SBM_HOOKS(1)
SBM_HOOKS(2)
SBM_HOOKS(4)
SBM_HOOKS(8)
SBM_HOOKS(16)

void __tsan_read_range(void* address, std::size_t bytes) {
  check(address, bytes, Kind::kRead, __builtin_return_address(0));
}
void __tsan_write_range(void* address, std::size_t bytes) {
  check(address, bytes, Kind::kWrite, __builtin_return_address(0));
}

// The atomics of C++, which the tests' own code and the standard library use: kernels have CUDA's.
#define SBM_ATOMIC_HOOKS(bits, Value)                                                          \
  Value __tsan_atomic##bits##_load(const volatile Value* address, int /*order*/) {             \
    return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                         \
  }                                                                                            \
  void __tsan_atomic##bits##_store(volatile Value* address, Value value, int /*order*/) {      \
    __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                        \
  }                                                                                            \
  Value __tsan_atomic##bits##_exchange(volatile Value* address, Value value, int /*order*/) {  \
    return __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);                              \
  }                                                                                            \
  Value __tsan_atomic##bits##_fetch_add(volatile Value* address, Value value, int /*order*/) { \
    return __atomic_fetch_add(address, value, __ATOMIC_SEQ_CST);                               \
  }                                                                                            \
  Value __tsan_atomic##bits##_fetch_sub(volatile Value* address, Value value, int /*order*/) { \
    return __atomic_fetch_sub(address, value, __ATOMIC_SEQ_CST);                               \
  }                                                                                            \
  Value __tsan_atomic##bits##_fetch_and(volatile Value* address, Value value, int /*order*/) { \
    return __atomic_fetch_and(address, value, __ATOMIC_SEQ_CST);                               \
  }                                                                                            \
  Value __tsan_atomic##bits##_fetch_or(volatile Value* address, Value value, int /*order*/) {  \
    return __atomic_fetch_or(address, value, __ATOMIC_SEQ_CST);                                \
  }                                                                                            \
  Value __tsan_atomic##bits##_fetch_xor(volatile Value* address, Value value, int /*order*/) { \
    return __atomic_fetch_xor(address, value, __ATOMIC_SEQ_CST);                               \
  }                                                                                            \
  bool __tsan_atomic##bits##_compare_exchange_strong(volatile Value* address, Value* expected, \
                                                     Value value, int, int) {                  \
    return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST,      \
                                       __ATOMIC_SEQ_CST);                                      \
  }                                                                                            \
  bool __tsan_atomic##bits##_compare_exchange_weak(volatile Value* address, Value* expected,   \
                                                   Value value, int, int) {                    \
    return __atomic_compare_exchange_n(address, expected, value, true, __ATOMIC_SEQ_CST,       \
                                       __ATOMIC_SEQ_CST);                                      \
  }
SBM_ATOMIC_HOOKS(8, std::uint8_t)
SBM_ATOMIC_HOOKS(16, std::uint16_t)
SBM_ATOMIC_HOOKS(32, std::uint32_t)
SBM_ATOMIC_HOOKS(64, std::uint64_t)
void __tsan_atomic_thread_fence(int /*order*/) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int /*order*/) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

// What checked_memory.h makes of the library's functions, which are not instrumented.
void* sbm_checked_memcpy(void* to, const void* from, std::size_t bytes) {
  check(from, bytes, Kind::kRead, __builtin_return_address(0));
  check(to, bytes, Kind::kWrite, __builtin_return_address(0));
  return std::memcpy(to, from, bytes);
}
void* sbm_checked_memmove(void* to, const void* from, std::size_t bytes) {
  check(from, bytes, Kind::kRead, __builtin_return_address(0));
  check(to, bytes, Kind::kWrite, __builtin_return_address(0));
  return std::memmove(to, from, bytes);
}
void* sbm_checked_memset(void* to, int value, std::size_t bytes) {
  check(to, bytes, Kind::kWrite, __builtin_return_address(0));
  return std::memset(to, value, bytes);
}
}
// NOLINTEND(bugprone-reserved-identifier)
