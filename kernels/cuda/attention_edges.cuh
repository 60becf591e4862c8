#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_edges_launch.h"
#include "kernels/cuda/device.cuh"

// What the edge-list kernels are made of.
//
// Thread mapping. A line (a row in CSR, a column in CSC) belongs to a *team* of lanes; a team is
// cut into *groups*, each of which holds the features of one edge, 8 a lane, so that a row of bf16
// is one 16-byte load a lane. A batch is 4 edges a group: their loads are in flight together, and
// their dot products are summed by a transposed reduction that leaves lane l of a group with the
// sum of its edge l mod 4, where everything that is done once an edge is done. Teams of a warp walk
// their lines in step, so that shuffles name the whole warp.
//
//   head_dim   lanes a group   lanes a team   edges a batch   teams a block
//         32               4              8               8              16
//         64               8              8               4              16
//        128              16             16               4               8
//
// A block owns 32 lines. Lines of more than kLongLine cells are left for the end and cut among all
// teams of the block, batch b to team b mod teams; the shares are added in the order of the teams.
// So every sum has an order that follows from the line alone.
namespace sbm::kernels::cuda {

inline constexpr std::uint32_t kFullWarp = 0xFFFFFFFF;
inline constexpr int kWarpLanes = 32;

template <class ElementType, int head_dim>
struct EdgeTraits {
  using Element = ElementType;
  static constexpr int kHeadDim = head_dim;
  static constexpr int kLaneFeatures = 8;
  static constexpr int kGroupLanes = head_dim / kLaneFeatures;
  static constexpr int kTeamLanes = kGroupLanes < 8 ? 8 : kGroupLanes;
  static constexpr int kGroups = kTeamLanes / kGroupLanes;  ///< of a team
  static constexpr int kGroupEdges = 4;
  static constexpr int kBatch = kGroups * kGroupEdges;
  static constexpr int kThreads = 128;
  static constexpr int kTeams = kThreads / kTeamLanes;  ///< of a block
  static constexpr int kBlockLines = kEdgeBlockLines;
  static_assert(kBlockLines == kWarpLanes);
  static constexpr std::uint32_t kLongLine = 512;
};

/// Where a thread stands.
template <class Traits>
struct EdgeLane {
  __device__ __forceinline__ EdgeLane()
      : warp_lane(static_cast<int>(threadIdx.x) % kWarpLanes),
        team(static_cast<int>(threadIdx.x) / Traits::kTeamLanes),
        in_team(static_cast<int>(threadIdx.x) % Traits::kTeamLanes),
        group(in_team / Traits::kGroupLanes),
        in_group(in_team % Traits::kGroupLanes),
        slot(in_group % Traits::kGroupEdges) {}

  /// The place in a batch of edge `edge` (0 to 3) of the lane's group.
  [[nodiscard]] __device__ __forceinline__ int place(int edge) const {
    return edge * Traits::kGroups + group;
  }

  int warp_lane;
  int team;  ///< in the block
  int in_team;
  int group;  ///< in the team
  int in_group;
  int slot;  ///< the edge of its group that the lane answers for
};

/// One lane's 8 features of a row, as they lie in memory. Neighbouring lanes load neighbouring 16
/// bytes, so float32 rows are cut in two halves.
template <class Traits>
struct RowSlice {
  static constexpr int kWords =
      Traits::kLaneFeatures * static_cast<int>(sizeof(typename Traits::Element)) / 4;
  static constexpr bool kIsBfloat16 = kWords == 4;
  std::uint32_t words[kWords];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int w = 0; w < kWords; ++w) words[w] = 0;
  }

  /// `row` is 16-byte aligned.
  __device__ __forceinline__ void load(const typename Traits::Element* row, int in_group) {
    const auto* quads = reinterpret_cast<const uint4*>(row) + in_group;
#pragma unroll
    for (int c = 0; c < kWords / 4; ++c) {
      const uint4 quad = __ldg(quads + c * Traits::kGroupLanes);
      words[4 * c] = quad.x;
      words[4 * c + 1] = quad.y;
      words[4 * c + 2] = quad.z;
      words[4 * c + 3] = quad.w;
    }
  }

  __device__ __forceinline__ void store(typename Traits::Element* row, int in_group) const {
    auto* quads = reinterpret_cast<uint4*>(row) + in_group;
#pragma unroll
    for (int c = 0; c < kWords / 4; ++c) {
      quads[c * Traits::kGroupLanes] =
          make_uint4(words[4 * c], words[4 * c + 1], words[4 * c + 2], words[4 * c + 3]);
    }
  }

  [[nodiscard]] __device__ __forceinline__ float operator[](int feature) const {
    if constexpr (kIsBfloat16) {
      // A bf16 is the upper half of the float32 of the same value.
      const std::uint32_t word = words[feature / 2];
      return __uint_as_float(feature % 2 == 0 ? word << 16 : word & 0xFFFF0000U);
    } else {
      return __uint_as_float(words[feature]);
    }
  }

  __device__ __forceinline__ void set(const float (&features)[Traits::kLaneFeatures]) {
#pragma unroll
    for (int w = 0; w < kWords; ++w) {
      if constexpr (kIsBfloat16) {
        const auto low = __bfloat16_as_ushort(__float2bfloat16_rn(features[2 * w]));
        const auto high = __bfloat16_as_ushort(__float2bfloat16_rn(features[2 * w + 1]));
        words[w] = static_cast<std::uint32_t>(high) << 16 | low;
      } else {
        words[w] = __float_as_uint(features[w]);
      }
    }
  }

  /// Which feature of the row a lane's `feature` is.
  [[nodiscard]] static __device__ __forceinline__ int column(int in_group, int feature) {
    if constexpr (kIsBfloat16) return Traits::kLaneFeatures * in_group + feature;
    return 4 * (feature / 4 * Traits::kGroupLanes + in_group) + feature % 4;
  }
};

/// The lane's share of the dot product of two rows.
template <class Traits>
__device__ __forceinline__ float partial_dot(const RowSlice<Traits>& left,
                                             const RowSlice<Traits>& right) {
  float sum = 0.0F;
#pragma unroll
  for (int c = 0; c < Traits::kLaneFeatures; ++c) sum = fmaf(left[c], right[c], sum);
  return sum;
}

/// Sums each of four values over the lanes of a group; lane l receives that of values[l mod 4], by
/// 3 to 5 shuffles where four reductions would take 8 to 16.
template <class Traits>
__device__ __forceinline__ float reduce_transposed(const float (&values)[4], int in_group) {
  const bool odd = (in_group & 1) != 0;
  const bool upper = (in_group & 2) != 0;
  const float first =
      (odd ? values[1] : values[0]) + __shfl_xor_sync(kFullWarp, odd ? values[0] : values[1], 1);
  const float second =
      (odd ? values[3] : values[2]) + __shfl_xor_sync(kFullWarp, odd ? values[2] : values[3], 1);
  float sum = (upper ? second : first) + __shfl_xor_sync(kFullWarp, upper ? first : second, 2);
#pragma unroll
  for (int offset = 4; offset < Traits::kGroupLanes; offset *= 2) {
    sum += __shfl_xor_sync(kFullWarp, sum, offset);
  }
  return sum;
}

/// The value of the lane that answers for edge `edge` (0 to 3) of the own group.
template <class Traits, class Value>
__device__ __forceinline__ Value from_slot(Value value, int edge) {
  return __shfl_sync(kFullWarp, value, edge, Traits::kGroupLanes);
}

/// Adds up what the groups of a team hold; each then has the sum.
template <class Traits>
__device__ __forceinline__ float sum_groups(float value) {
  if constexpr (Traits::kGroups > 1) {
    static_assert(Traits::kGroups == 2);
    value += __shfl_xor_sync(kFullWarp, value, Traits::kGroupLanes);
  }
  return value;
}

/// A graph's part of a CellList.
struct GraphLines {
  __device__ __forceinline__ GraphLines(const CellList& list, std::int64_t graph, int lines)
      : offsets(list.offsets + graph * (lines + 1)),
        others(list.others + graph * list.capacity),
        gates(list.gates != nullptr ? list.gates + graph * list.capacity : nullptr),
        probabilities(list.probabilities != nullptr ? list.probabilities + graph * list.capacity
                                                    : nullptr) {}

  const std::uint32_t* offsets;
  const std::uint16_t* others;
  const float* gates;
  const float* probabilities;
};

/// The cells of a list in one of its lines.
__device__ __forceinline__ std::uint32_t line_cells(const CellList& list, std::int64_t graph,
                                                    int lines, int line) {
  const std::uint32_t* offsets = list.offsets + graph * (lines + 1) + line;
  return offsets[1] - offsets[0];
}

/// What a team does next: all of a line of its own, or its share of one that is cut.
struct LineTask {
  int line = 0;
  bool is_own = false;  ///< whether the team is to write the line
  bool is_cut = false;  ///< the same in the whole block
  int part = 0;         ///< the team's batches are part, part + parts, ..
  int parts = 1;

  /// The line's cells; none for a team that has no line.
  __device__ __forceinline__ std::uint32_t begin(const GraphLines& lines) const {
    return is_own || is_cut ? lines.offsets[line] : 0;
  }
  __device__ __forceinline__ std::uint32_t end(const GraphLines& lines) const {
    return is_own || is_cut ? lines.offsets[line + 1] : 0;
  }
};

/// Hands out the lines of a block: those that are not long team by team, then the long ones.
template <class Traits>
class LineTasks {
 public:
  /// is_long(line) for lines below `lines`; the whole warp calls.
  template <class IsLong>
  __device__ __forceinline__ LineTasks(int first_line, int lines, const EdgeLane<Traits>& lane,
                                       const IsLong& is_long)
      : first_line_(first_line), lines_(lines), team_(lane.team) {
    const int line = first_line + lane.warp_lane;
    long_lines_ = __ballot_sync(kFullWarp, line < lines && is_long(line));
    remaining_ = long_lines_;
  }

  /// False when nothing is left, to all threads of the block alike.
  __device__ __forceinline__ bool next(LineTask& task) {
    if (round_ < Traits::kBlockLines / Traits::kTeams) {
      const int place = round_ * Traits::kTeams + team_;
      task.line = first_line_ + place;
      task.is_own = task.line < lines_ && (long_lines_ >> place & 1) == 0;
      ++round_;
      return true;
    }
    if (remaining_ == 0) return false;
    task.line = first_line_ + __ffs(static_cast<int>(remaining_)) - 1;
    task.is_own = false;
    task.is_cut = true;
    task.part = team_;
    task.parts = Traits::kTeams;
    remaining_ &= remaining_ - 1;
    return true;
  }

 private:
  int first_line_;
  int lines_;
  int team_;
  int round_ = 0;
  std::uint32_t long_lines_;  ///< as bits
  std::uint32_t remaining_;
};

/// The rows of a head of a tensor. Strides fit 32 bits, which saves registers.
template <class Element>
struct HeadRowsOf {
  template <class Tensor>
  __device__ __forceinline__ HeadRowsOf(const Tensor& tensor, std::int64_t batch, std::int64_t head)
      : data(static_cast<Element*>(tensor.data) + batch * tensor.batch_stride +
             head * tensor.head_stride),
        stride(static_cast<int>(tensor.token_stride)) {}

  [[nodiscard]] __device__ __forceinline__ Element* operator[](int token) const {
    return data + static_cast<std::int64_t>(token) * stride;
  }

  Element* data;
  int stride;
};

__device__ __forceinline__ void store_element(float* to, float value) { *to = value; }
__device__ __forceinline__ void store_element(__nv_bfloat16* to, float value) {
  *to = __float2bfloat16_rn(value);
}

}  // namespace sbm::kernels::cuda
