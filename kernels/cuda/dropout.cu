#include "kernels/cuda/dropout.cuh"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "base/checked.h"

namespace sbm::kernels::cuda {
namespace {

Status check(const DropoutParams& params, std::int64_t& elements) {
  constexpr std::int64_t kMostTokens = std::numeric_limits<std::uint32_t>::max();
  constexpr std::int64_t kMostFeatures = std::int64_t{1} << 32;
  const auto expect_range = [](const char* name, std::int64_t value, std::int64_t most) {
    if (value >= 0 && value <= most) return Status();
    return Status::invalid(std::string(name) + ": expected 0 to " + std::to_string(most) +
                           ", found " + std::to_string(value));
  };
  for (Status status : {expect_range("samples", params.samples, kMostTokens),
                        expect_range("tokens", params.tokens, kMostTokens),
                        expect_range("features", params.features, kMostFeatures)}) {
    if (!status.ok()) return status;
  }
  const bool fits = params.probability >= 0.0 && params.probability < 1.0 &&
                    attention_dropout_threshold(params.probability) < 65536;
  if (!fits) {
    return Status::invalid(
        "probability: expected at least 0 and, in steps of 1/65536, below 1, found " +
        std::to_string(params.probability));
  }
  const auto rows = checked_multiply(params.samples, params.tokens);
  const auto all = rows ? checked_multiply(*rows, params.features) : std::nullopt;
  if (!all) return Status::invalid("samples x tokens x features: expected below 2^63");
  elements = *all;
  if (elements == 0) return {};
  if (params.input == nullptr || params.output == nullptr || params.keys == nullptr) {
    return Status::invalid("input, output, keys: expected arrays, found null");
  }
  return {};
}

template <class Element>
Status launch_dropout(const DropoutParams& params, CUstream_st* stream) {
  constexpr std::int64_t kMostBlocks = 132 * 8;  // fill the largest GPU
  const std::int64_t groups =
      params.samples * params.tokens * ceil_divide(params.features, std::int64_t{kDropoutFeatures});
  const dim3 blocks(static_cast<unsigned>(
      std::min(ceil_divide(groups, std::int64_t{kDropoutThreads}), kMostBlocks)));
  const auto is_aligned = [](const void* address) {
    return reinterpret_cast<std::uintptr_t>(address) % sizeof(DropoutChunk<Element>) == 0;
  };
  const bool whole = params.features % kDropoutFeatures == 0 && is_aligned(params.input) &&
                     is_aligned(params.output);
  return launch(whole ? dropout_kernel<Element, true> : dropout_kernel<Element, false>, blocks,
                dim3(kDropoutThreads), 0, stream, params, DropoutRule(params.probability));
}

}  // namespace

Status keyed_dropout(const DropoutParams& params, CUstream_st* stream) {
  std::int64_t elements = 0;
  if (Status status = check(params, elements); !status.ok() || elements == 0) return status;
  return params.precision == Precision::kBfloat16 ? launch_dropout<__nv_bfloat16>(params, stream)
                                                  : launch_dropout<float>(params, stream);
}

}  // namespace sbm::kernels::cuda
