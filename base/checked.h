#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"

// Integer arithmetic on sizes that come from outside: it either holds or says so.
namespace sbm {

/// a + b, or nothing when the sum does not fit T.
template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) {
  T result{};
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

/// a * b, or nothing when the product does not fit T.
template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_multiply(T a, T b) {
  T result{};
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

/// The same value as To. Throws InternalError, naming `what`, when To cannot hold it.
template <std::integral To, std::integral From>
[[nodiscard]] constexpr To checked_cast(From value, std::string_view what) {
  if (!std::in_range<To>(value)) {
    throw InternalError(std::string(what) + ": " + std::to_string(value) + " does not fit " +
                        std::to_string(sizeof(To) * 8) + " bits");
  }
  return static_cast<To>(value);
}

/// a / b rounded up; a >= 0, b > 0.
template <std::integral T>
[[nodiscard]] constexpr T ceil_divide(T a, T b) {
  return static_cast<T>(a / b + (a % b != 0 ? 1 : 0));
}

/// The smallest multiple of `quantum` that is at least `value`; value >= 0, quantum > 0.
template <std::integral T>
[[nodiscard]] constexpr T round_up(T value, T quantum) {
  return static_cast<T>(ceil_divide(value, quantum) * quantum);
}

}  // namespace sbm
