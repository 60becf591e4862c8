// What the edge-list kernels are made of, once for each instruction set: dot products of one row
// with the rows of its edges, and weighted sums of rows. Included by foreach_target.

#if defined(SBM_KERNELS_CPU_ATTENTION_EDGES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_ATTENTION_EDGES_INL_H_
#undef SBM_KERNELS_CPU_ATTENTION_EDGES_INL_H_
#else
#define SBM_KERNELS_CPU_ATTENTION_EDGES_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "kernels/cpu/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;
constexpr Floats kFloats;
constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(Floats()));
static_assert(kLanes == 1 || kLanes == 4 || kLanes == 8 || kLanes == kWidestLanes);

/// A number that a lambda receives as a type.
template <int kNumber>
struct Constant {
  static constexpr int kValue = kNumber;
};

/// The row that all edges of a tile share. Up to four vectors of it stay in registers; kVectors = 5
/// stands for five or more.
template <int kVectors>
struct SharedRow {
  SharedRow(const float* row, std::int64_t vectors) : data(row), count(vectors) {
    first = hn::LoadU(kFloats, row);
    if constexpr (kVectors > 1) second = hn::LoadU(kFloats, row + kLanes);
    if constexpr (kVectors > 2) third = hn::LoadU(kFloats, row + 2 * kLanes);
    if constexpr (kVectors > 3) fourth = hn::LoadU(kFloats, row + 3 * kLanes);
  }

  /// The products with `other`, summed over the vectors but not over the lanes.
  HWY_INLINE Vector partial_dot(const float* other) const {
    Vector sum = hn::Mul(first, hn::LoadU(kFloats, other));
    if constexpr (kVectors > 1) {
      sum = hn::MulAdd(second, hn::LoadU(kFloats, other + kLanes), sum);
    }
    if constexpr (kVectors > 2) {
      sum = hn::MulAdd(third, hn::LoadU(kFloats, other + 2 * kLanes), sum);
    }
    if constexpr (kVectors > 3) {
      sum = hn::MulAdd(fourth, hn::LoadU(kFloats, other + 3 * kLanes), sum);
    }
    if constexpr (kVectors > 4) {
      for (std::int64_t v = 4; v < count; ++v) {
        sum = hn::MulAdd(hn::LoadU(kFloats, data + v * kLanes),
                         hn::LoadU(kFloats, other + v * kLanes), sum);
      }
    }
    return sum;
  }

  Vector first, second, third, fourth;
  const float* data;
  std::int64_t count;
};

#if HWY_TARGET == HWY_SCALAR

template <int kVectors>
HWY_INLINE Vector tile_dots(const SharedRow<kVectors>& shared, Rows rows,
                            const std::int32_t* columns) {
  return shared.partial_dot(rows[columns[0]]);
}

#else

/// Four dot products at once, each summed within the 128-bit blocks: lane e of every block holds
/// the share of edge e.
template <int kVectors>
HWY_INLINE Vector four_dots(const SharedRow<kVectors>& shared, Rows rows,
                            const std::int32_t* columns) {
  const hn::RepartitionToWide<Floats> pairs;
  const Vector a = shared.partial_dot(rows[columns[0]]);
  const Vector b = shared.partial_dot(rows[columns[1]]);
  const Vector c = shared.partial_dot(rows[columns[2]]);
  const Vector d = shared.partial_dot(rows[columns[3]]);
  const auto ab = hn::BitCast(
      pairs, hn::Add(hn::InterleaveLower(kFloats, a, b), hn::InterleaveUpper(kFloats, a, b)));
  const auto cd = hn::BitCast(
      pairs, hn::Add(hn::InterleaveLower(kFloats, c, d), hn::InterleaveUpper(kFloats, c, d)));
  return hn::Add(hn::BitCast(kFloats, hn::InterleaveLower(pairs, ab, cd)),
                 hn::BitCast(kFloats, hn::InterleaveUpper(pairs, ab, cd)));
}

/// The dot products of the shared row with the rows of kLanes edges, lane e that of columns[e].
template <int kVectors>
HWY_INLINE Vector tile_dots(const SharedRow<kVectors>& shared, Rows rows,
                            const std::int32_t* columns) {
  if constexpr (kLanes == 4) {
    return four_dots(shared, rows, columns);
  } else if constexpr (kLanes == 8) {
    const Vector low = four_dots(shared, rows, columns);
    const Vector high = four_dots(shared, rows, columns + 4);
    return hn::Add(hn::ConcatLowerLower(kFloats, high, low),
                   hn::ConcatUpperUpper(kFloats, high, low));
  } else {
    const Vector q0 = four_dots(shared, rows, columns);
    const Vector q1 = four_dots(shared, rows, columns + 4);
    const Vector q2 = four_dots(shared, rows, columns + 8);
    const Vector q3 = four_dots(shared, rows, columns + 12);
    const Vector even =
        hn::Add(hn::ConcatLowerLower(kFloats, q2, q0), hn::ConcatUpperUpper(kFloats, q2, q0));
    const Vector odd =
        hn::Add(hn::ConcatLowerLower(kFloats, q3, q1), hn::ConcatUpperUpper(kFloats, q3, q1));
    return hn::Add(hn::OddEvenBlocks(odd, even),
                   hn::SwapAdjacentBlocks(hn::OddEvenBlocks(even, odd)));
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

/// The columns of edges [begin, begin + kLanes) of a row. A tile that runs past the row's end
/// repeats the last edge in `spare`, so that every lane names a key that exists.
HWY_INLINE const std::int32_t* tile_columns(const std::int32_t* columns, std::int64_t begin,
                                            std::int64_t count, std::int32_t* spare) {
  if (begin + kLanes <= count) return columns + begin;
  for (std::int64_t e = 0; e < kLanes; ++e) {
    spare[e] = columns[begin + e < count ? begin + e : count - 1];
  }
  return spare;
}

/// exp(x) for x up to 88, 0 from about -104 on; a NaN stays one, so a broken model shows itself.
HWY_INLINE Vector exponential(Vector x) {
  // The library's own bound works on the result: far below it the conversion to integers overflows.
  const Vector lowest = hn::Set(kFloats, -110.0F);
  const Vector result = hn::Exp(kFloats, hn::IfThenElse(hn::Lt(x, lowest), lowest, x));
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

/// Reads the row numbers of a CSR row: the keys of its edges.
struct ColumnIndex {
  const std::int32_t* columns;
  HWY_INLINE std::int64_t operator()(std::int64_t edge) const { return columns[edge]; }
};

/// Reads the row numbers of edges packed as four words, the last of which is the number.
struct PackedIndex {
  const float* edges;
  HWY_INLINE std::int64_t operator()(std::int64_t edge) const {
    std::int32_t row;
    std::memcpy(&row, edges + 4 * edge + 3, sizeof(row));
    return row;
  }
};

/// A weighted sum of rows: sum (+)= sum over edges e of weights[stride e] * rows[index(e)].
struct RowSum {
  const float* weights;
  Rows rows;
  float* sum;
};

/// kVectors vectors of each of kSums sums that run over the same edges, added to what they held if
/// `add`. Several partial sums hide the latency of the additions; which one an edge goes to follows
/// from its place in the list.
template <int kSums, int kVectors, int kWeightStride, typename Index>
HWY_INLINE void add_rows_block(const RowSum (&sums)[kSums], Index index, std::int64_t count,
                               bool add) {
  constexpr int kAll = kSums * kVectors;
  constexpr int kPartials = kAll <= 2 ? 4 : kAll <= 4 ? 2 : 1;
  Vector partial[kPartials][kSums][kVectors];
  for (int p = 0; p < kPartials; ++p) {
    for (int s = 0; s < kSums; ++s) {
      for (int v = 0; v < kVectors; ++v) partial[p][s][v] = hn::Zero(kFloats);
    }
  }
  if (add) {
    for (int s = 0; s < kSums; ++s) {
      for (int v = 0; v < kVectors; ++v) {
        partial[0][s][v] = hn::LoadU(kFloats, sums[s].sum + v * kLanes);
      }
    }
  }
  const auto add_edge = [&](std::int64_t edge, int p) HWY_ATTR {
    const std::int64_t row = index(edge);
    for (int s = 0; s < kSums; ++s) {
      const Vector weight = hn::Set(kFloats, sums[s].weights[edge * kWeightStride]);
      const float* values = sums[s].rows[row];
      for (int v = 0; v < kVectors; ++v) {
        partial[p][s][v] =
            hn::MulAdd(weight, hn::LoadU(kFloats, values + v * kLanes), partial[p][s][v]);
      }
    }
  };
  std::int64_t edge = 0;
  for (; edge + kPartials <= count; edge += kPartials) {
    for (int p = 0; p < kPartials; ++p) add_edge(edge + p, p);
  }
  for (; edge < count; ++edge) add_edge(edge, 0);
  for (int s = 0; s < kSums; ++s) {
    for (int v = 0; v < kVectors; ++v) {
      Vector total = partial[0][s][v];
      if constexpr (kPartials == 2) total = hn::Add(total, partial[1][s][v]);
      if constexpr (kPartials == 4) {
        total =
            hn::Add(hn::Add(total, partial[1][s][v]), hn::Add(partial[2][s][v], partial[3][s][v]));
      }
      hn::StoreU(total, kFloats, sums[s].sum + v * kLanes);
    }
  }
}

/// As above for rows of `vectors` vectors.
template <int kSums, int kWeightStride, typename Index>
void add_rows(RowSum (&sums)[kSums], Index index, std::int64_t count, std::int64_t vectors,
              bool add) {
  // As many vectors at once as leave registers free on every instruction set.
  constexpr int kWidest = kSums == 1 ? 8 : 4;
  const auto block = [&](auto size) HWY_ATTR {
    if constexpr (decltype(size)::kValue <= kWidest) {
      add_rows_block<kSums, decltype(size)::kValue, kWeightStride>(sums, index, count, add);
    }
  };
  for (; vectors >= kWidest; vectors -= kWidest) {
    block(Constant<kWidest>());
    for (RowSum& sum : sums) {
      sum.rows.data += kWidest * kLanes;
      sum.sum += kWidest * kLanes;
    }
  }
  switch (vectors) {
    case 1:
      return block(Constant<1>());
    case 2:
      return block(Constant<2>());
    case 3:
      return block(Constant<3>());
    case 4:
      return block(Constant<4>());
    case 5:
      return block(Constant<5>());
    case 6:
      return block(Constant<6>());
    case 7:
      return block(Constant<7>());
    default:
      return;
  }
}

/// to[0, width) = factor * from, padded with zeros to whole vectors.
HWY_INLINE void copy_row(const float* from, std::int64_t width, std::int64_t padded, float factor,
                         float* to) {
  for (std::int64_t c = width; c < padded; ++c) to[c] = 0.0F;
  if (to != from) std::memcpy(to, from, static_cast<std::size_t>(width) * sizeof(float));
  for (std::int64_t c = 0; c < padded; c += kLanes) {
    hn::StoreU(hn::Mul(hn::LoadU(kFloats, to + c), hn::Set(kFloats, factor)), kFloats, to + c);
  }
}

/// Calls body(SharedRow-vector-count constant) for rows of `vectors` vectors.
template <typename Body>
HWY_INLINE void with_vectors(std::int64_t vectors, const Body& body) {
  switch (vectors) {
    case 1:
      return body(Constant<1>());
    case 2:
      return body(Constant<2>());
    case 3:
      return body(Constant<3>());
    case 4:
      return body(Constant<4>());
    default:
      return body(Constant<5>());
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif  // include guard
