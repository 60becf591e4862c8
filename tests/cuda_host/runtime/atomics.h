#pragma once

#include <concepts>
#include <cstddef>
#include <source_location>
#include <type_traits>

// Atomic operations on integers. Those on floats are left out on purpose: their sums depend on the
// order, and every output element here has one owner.

namespace sbm::cuda_host {

/// Checks an atomic access before it happens; in random orders other threads may run first.
void before_atomic(const void* address, std::size_t bytes, const std::source_location& where);

template <class Value>
concept AtomicInteger = std::integral<Value> &&(sizeof(Value) == 4 || sizeof(Value) == 8);

template <AtomicInteger Value, class Update>
__attribute__((noinline, no_sanitize("thread"))) Value update_atomically(
    Value* address, Update update, const std::source_location& where) {
  before_atomic(address, sizeof(Value), where);
  const Value old = *address;
  *address = update(old);
  return old;
}

}  // namespace sbm::cuda_host

#define SBM_ATOMIC(name, expression)                                                             \
  template <sbm::cuda_host::AtomicInteger Value>                                                 \
  Value name(Value* address, std::type_identity_t<Value> value,                                  \
             const std::source_location& where = std::source_location::current()) {              \
    return sbm::cuda_host::update_atomically(                                                    \
        address,                                                                                 \
        [value](Value old) __attribute__((no_sanitize("thread")))->Value { return expression; }, \
        where);                                                                                  \
  }
// Wraps around, as unsigned sums do.
SBM_ATOMIC(atomicAdd, static_cast<Value>(static_cast<std::make_unsigned_t<Value>>(old) +
                                         static_cast<std::make_unsigned_t<Value>>(value)))
SBM_ATOMIC(atomicOr, old | value)
SBM_ATOMIC(atomicAnd, old& value)
SBM_ATOMIC(atomicXor, old ^ value)
SBM_ATOMIC(atomicMax, old < value ? value : old)
SBM_ATOMIC(atomicMin, value < old ? value : old)
SBM_ATOMIC(atomicExch, (static_cast<void>(old), value))
#undef SBM_ATOMIC

template <sbm::cuda_host::AtomicInteger Value>
Value atomicCAS(Value* address, std::type_identity_t<Value> compare,
                std::type_identity_t<Value> value,
                const std::source_location& where = std::source_location::current()) {
  return sbm::cuda_host::update_atomically(
      address, [ compare, value ](Value old) __attribute__((no_sanitize("thread")))->Value {
        return old == compare ? value : old;
      },
      where);
}
