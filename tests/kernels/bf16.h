#pragma once

#include <cmath>

namespace sbm::kernels::testing {

/// The nearest number with the 8 significant bits of bfloat16, ties to even; of ordinary size.
inline double to_bf16(double number) {
  int exponent = 0;
  const double fraction = std::frexp(number, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
}

}  // namespace sbm::kernels::testing
