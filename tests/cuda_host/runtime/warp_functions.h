#pragma once

#include <cstdint>
#include <source_location>
#include <type_traits>

// Collectives of a warp. None of them orders memory accesses, as CUDA says; each remembers the line
// that called it.

namespace sbm::cuda_host {

template <class Value>
concept Shuffled = (sizeof(Value) == 4 || sizeof(Value) == 8) && std::is_arithmetic_v<Value>;

enum class ShuffleKind : std::uint8_t { kIndex, kUp, kDown, kXor };

/// The bits of the value that the lane chosen by kind, argument and width holds.
std::uint64_t shuffle(ShuffleKind kind, unsigned mask, std::uint64_t bits, int argument, int width,
                      const std::source_location& where);

enum class ReduceKind : std::uint8_t { kAdd, kMin, kMax, kAnd, kOr, kXor };
unsigned reduce_unsigned(ReduceKind kind, unsigned mask, unsigned value,
                         const std::source_location& where);
int reduce_signed(ReduceKind kind, unsigned mask, int value, const std::source_location& where);

unsigned ballot(const char* name, unsigned mask, bool predicate, const std::source_location& where);
unsigned match_any(unsigned mask, std::uint64_t bits, const std::source_location& where);

template <Shuffled Value>
Value shuffle_value(ShuffleKind kind, unsigned mask, Value value, int argument, int width,
                    const std::source_location& where) {
  using Word = std::conditional_t<sizeof(Value) == 4, std::uint32_t, std::uint64_t>;
  const auto bits = __builtin_bit_cast(Word, value);
  return __builtin_bit_cast(Value,
                            static_cast<Word>(shuffle(kind, mask, bits, argument, width, where)));
}

}  // namespace sbm::cuda_host

template <sbm::cuda_host::Shuffled Value>
Value __shfl_sync(unsigned mask, Value value, int lane, int width = 32,
                  const std::source_location& where = std::source_location::current()) {
  return sbm::cuda_host::shuffle_value(sbm::cuda_host::ShuffleKind::kIndex, mask, value, lane,
                                       width, where);
}
template <sbm::cuda_host::Shuffled Value>
Value __shfl_up_sync(unsigned mask, Value value, unsigned delta, int width = 32,
                     const std::source_location& where = std::source_location::current()) {
  return sbm::cuda_host::shuffle_value(sbm::cuda_host::ShuffleKind::kUp, mask, value,
                                       static_cast<int>(delta), width, where);
}
template <sbm::cuda_host::Shuffled Value>
Value __shfl_down_sync(unsigned mask, Value value, unsigned delta, int width = 32,
                       const std::source_location& where = std::source_location::current()) {
  return sbm::cuda_host::shuffle_value(sbm::cuda_host::ShuffleKind::kDown, mask, value,
                                       static_cast<int>(delta), width, where);
}
template <sbm::cuda_host::Shuffled Value>
Value __shfl_xor_sync(unsigned mask, Value value, int lane_mask, int width = 32,
                      const std::source_location& where = std::source_location::current()) {
  return sbm::cuda_host::shuffle_value(sbm::cuda_host::ShuffleKind::kXor, mask, value, lane_mask,
                                       width, where);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              const std::source_location& where = std::source_location::current()) {
  return sbm::cuda_host::ballot("__ballot_sync", mask, predicate != 0, where);
}
inline int __any_sync(unsigned mask, int predicate,
                      const std::source_location& where = std::source_location::current()) {
  return sbm::cuda_host::ballot("__any_sync", mask, predicate != 0, where) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      const std::source_location& where = std::source_location::current()) {
  return sbm::cuda_host::ballot("__all_sync", mask, predicate != 0, where) == mask ? 1 : 0;
}

template <sbm::cuda_host::Shuffled Value>
unsigned __match_any_sync(unsigned mask, Value value,
                          const std::source_location& where = std::source_location::current()) {
  using Word = std::conditional_t<sizeof(Value) == 4, std::uint32_t, std::uint64_t>;
  return sbm::cuda_host::match_any(mask, __builtin_bit_cast(Word, value), where);
}

#define SBM_REDUCE_SYNC(name, kind)                                                               \
  inline unsigned name(unsigned mask, unsigned value,                                             \
                       const std::source_location& where = std::source_location::current()) {     \
    return sbm::cuda_host::reduce_unsigned(sbm::cuda_host::ReduceKind::kind, mask, value, where); \
  }
SBM_REDUCE_SYNC(__reduce_add_sync, kAdd)
SBM_REDUCE_SYNC(__reduce_min_sync, kMin)
SBM_REDUCE_SYNC(__reduce_max_sync, kMax)
SBM_REDUCE_SYNC(__reduce_and_sync, kAnd)
SBM_REDUCE_SYNC(__reduce_or_sync, kOr)
SBM_REDUCE_SYNC(__reduce_xor_sync, kXor)
#undef SBM_REDUCE_SYNC

#define SBM_REDUCE_SYNC(name, kind)                                                             \
  inline int name(unsigned mask, int value,                                                     \
                  const std::source_location& where = std::source_location::current()) {        \
    return sbm::cuda_host::reduce_signed(sbm::cuda_host::ReduceKind::kind, mask, value, where); \
  }
SBM_REDUCE_SYNC(__reduce_add_sync, kAdd)
SBM_REDUCE_SYNC(__reduce_min_sync, kMin)
SBM_REDUCE_SYNC(__reduce_max_sync, kMax)
#undef SBM_REDUCE_SYNC
