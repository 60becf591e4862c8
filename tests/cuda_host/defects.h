#pragma once

// The bench tests itself: kernels with one defect each, of every class that it claims to catch, and
// which build must catch it. Caught is an exception out of the launch, or a wrong result in one of
// the orders. Each kernel without its defect must pass everywhere.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "cuda_host/defect.h"
#include "cuda_host/device_buffer.h"
#include "cuda_host/order.h"
#include "kernels/cuda/ptx.cuh"

namespace sbm::cuda_host::defects {

enum Build : unsigned { kPlain = 1, kSanitizers = 2, kRace = 4, kAll = 7 };

constexpr Build this_build() {
#if defined(SBM_HOST_ASAN)
  return kSanitizers;
#elif defined(SBM_HOST_RACE)
  return kRace;
#else
  return kPlain;
#endif
}

constexpr unsigned kThreads = 128;

struct Params {
  const unsigned* in;
  unsigned* out;
  unsigned count;
};

using Kernel = void (*)(Params);

struct Shape {
  unsigned blocks = 1;
  std::size_t shared_bytes = 0;
  std::size_t values = kThreads;
};

// What `kernel` is accused of in any order of this build; empty: nothing. `expected` gets the
// inputs.
inline std::string accusation(
    Kernel kernel, const Shape& shape,
    const std::function<std::vector<unsigned>(const std::vector<unsigned>&)>& expected) {
  std::vector<unsigned> input(shape.values);
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<unsigned>(7 * i + 1);
  std::string found;
  for_each_order([&] {
    if (!found.empty()) return;
    const DeviceBuffer<unsigned> in(input, "in");
    const DeviceBuffer<unsigned> out(std::vector<unsigned>(shape.values, 0), "out");
    try {
      const kernels::Status status = kernels::cuda::launch(
          kernel, dim3(shape.blocks), dim3(kThreads), shape.shared_bytes, test_stream(),
          Params{in.data(), out.data(), static_cast<unsigned>(shape.values)});
      if (!status.ok()) {
        found = "refused: " + status.message();
      } else if (out.download() != expected(input)) {
        found = "wrong result in " + current_order().name();
      }
    } catch (const KernelDefect& defect) {
      found = defect.what();
    }
  });
  return found;
}

inline std::vector<unsigned> rotated(const std::vector<unsigned>& input) {
  std::vector<unsigned> result(input.size());
  for (std::size_t i = 0; i < input.size(); ++i) result[i] = input[(i + 40) % input.size()];
  return result;
}

inline std::vector<unsigned> same(const std::vector<unsigned>& input) { return input; }

// `builds`: those that must catch it. `words`: what one of them says, where it is an exception.
inline void expect_caught(
    Kernel defective, const Shape& shape,
    const std::function<std::vector<unsigned>(const std::vector<unsigned>&)>& expected,
    unsigned builds, const std::string& words) {
  const std::string found = accusation(defective, shape, expected);
  if ((builds & this_build()) == 0) return;
  ASSERT_NE(found, "") << "not caught";
  const bool by_type = found.starts_with("UndefinedBehaviorSanitizer: Index");
  EXPECT_TRUE(by_type || found.find(words) != std::string::npos) << found;
}

inline void expect_clean(
    Kernel kernel, const Shape& shape,
    const std::function<std::vector<unsigned>(const std::vector<unsigned>&)>& expected) {
  EXPECT_EQ(accusation(kernel, shape, expected), "");
}

}  // namespace sbm::cuda_host::defects
