#pragma once

#include <cstdint>

#include "kernels/cuda/sampling_warp.cuh"

namespace sbm::kernels::cuda {

/// Lanes that draw, sort or list one row together.
inline constexpr int kGroupLanes = 8;
inline constexpr int kWarpGroups = kWarpLanes / kGroupLanes;

__device__ __forceinline__ int group_lane() { return static_cast<int>(threadIdx.x) % kGroupLanes; }

/// A set of numbers below 65,536 in shared memory, kept by a group of lanes: it takes them in any
/// order, with repetitions, and gives them back ascending. Two levels of bits, so that its time is
/// that of its members: a word of the upper level says which of 32 words below have any. Each lane
/// gives back an equal share of the range.
class OrderedSet {
 public:
  /// Shared words of a set for numbers below `range`.
  [[nodiscard]] SBM_HOST_DEVICE static constexpr int words(std::int32_t range) {
    return kGroupLanes * (share(range) + upper_share(range));
  }

  __device__ OrderedSet(std::uint32_t* memory, std::int32_t range)
      : share_(share(range)),
        upper_share_(upper_share(range)),
        upper_(memory),
        lower_(memory + kGroupLanes * upper_share_) {}

  /// By all lanes of the group, before anything else; the warp synchronises afterwards.
  __device__ void clear() {
    for (int i = group_lane(); i < kGroupLanes * (upper_share_ + share_); i += kGroupLanes) {
      upper_[i] = 0;
    }
  }

  /// By any lane.
  __device__ void insert(std::uint32_t number) {
    const std::uint32_t word = number / 32;
    const auto lane = static_cast<int>(word / static_cast<std::uint32_t>(share_));
    const int within = static_cast<int>(word) - lane * share_;
    atomicOr(lower_ + word, 1U << (number % 32));
    atomicOr(upper_ + lane * upper_share_ + within / 32, 1U << (within % 32));
  }

  /// How many members this lane gives back; after the warp has synchronised.
  [[nodiscard]] __device__ std::uint32_t count() const {
    std::uint32_t count = 0;
    each_word([&](int, std::uint32_t bits) {
      count += static_cast<std::uint32_t>(__popc(static_cast<int>(bits)));
    });
    return count;
  }

  /// Writes this lane's members, ascending, and takes them out: the set is empty afterwards.
  __device__ void drain(std::uint16_t* to) {
    each_word([&](int word, std::uint32_t bits) {
      for (; bits != 0; bits &= bits - 1) {
        *to++ = static_cast<std::uint16_t>(word * 32 + __ffs(static_cast<int>(bits)) - 1);
      }
      lower_[word] = 0;
    });
    for (int i = 0; i < upper_share_; ++i) upper_[group_lane() * upper_share_ + i] = 0;
  }

 private:
  /// Lower words of a lane, a power of two up to 32 and a multiple of 32 beyond.
  [[nodiscard]] SBM_HOST_DEVICE static constexpr int share(std::int32_t range) {
    int share = 1;
    while (share * kGroupLanes * 32 < range) share *= 2;
    return share;
  }
  [[nodiscard]] SBM_HOST_DEVICE static constexpr int upper_share(std::int32_t range) {
    return (share(range) + 31) / 32;
  }

  /// Calls each(word, bits) for this lane's lower words that are not 0.
  template <class Each>
  __device__ void each_word(const Each& each) const {
    const int lane = group_lane();
    for (int i = 0; i < upper_share_; ++i) {
      for (std::uint32_t words = upper_[lane * upper_share_ + i]; words != 0; words &= words - 1) {
        const int word = lane * share_ + i * 32 + __ffs(static_cast<int>(words)) - 1;
        each(word, lower_[word]);
      }
    }
  }

  int share_;
  int upper_share_;
  std::uint32_t* upper_;
  std::uint32_t* lower_;
};

}  // namespace sbm::kernels::cuda
