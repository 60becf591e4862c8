#pragma once

#include <cstdint>

#include "kernels/cuda/attention_dense_backward_traits.cuh"
#include "kernels/cuda/attention_dense_bits.cuh"
#include "kernels/cuda/attention_dense_law.cuh"

// What a warp of the dense-masked backward knows of a tile's cells before it looks at any score.
namespace sbm::kernels::cuda::dense {

/// What one lane knows of the cells of a tile.
template <int Strips>
struct TileBits {
  LaneBits<Strips> edges;
  LaneBits<Strips> kept;     ///< edges that dropout keeps
  LaneBits<Strips> counted;  ///< cells whose G counts: edges and probes without decided diagonals
  std::uint32_t only_edge = 0;  ///< of the other side's rows, bit 2t + e
};

/// Bits 2t + e of 8t + 2q + e in [0, 64): whether bytes[first + ..] is not 0; null: all are not.
/// Tokens from `count` on give 0.
__device__ __forceinline__ std::uint32_t byte_bits(const std::uint8_t* bytes, int first, int count,
                                                   const Lane& me) {
  std::uint32_t bits = 0;
#pragma unroll
  for (int t = 0; t < 8; ++t) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int token = first + 8 * t + 2 * me.quad + e;
      const bool is_set = token < count && (bytes == nullptr || bytes[token] != 0);
      bits |= static_cast<std::uint32_t>(is_set) << (2 * t + e);
    }
  }
  return bits;
}

/// One warp's tokens of one graph, and what it knows of their cells.
template <class Traits>
struct WarpCells {
  static constexpr int kStrips = Traits::kStrips;
  static constexpr int kTiles = Traits::kChunk / 8;

  /// `block_first` is the block's first own token, `place` the warp's first within the block.
  __device__ __forceinline__ WarpCells(const BackwardCall& backward, std::int64_t graph_index,
                                       int block_first, int place)
      : call(backward),
        me(this_lane()),
        graph(graph_index),
        first(block_first + place),
        warp_first(place),
        queries(static_cast<int>(backward.params.shape.queries)),
        keys(static_cast<int>(backward.params.shape.keys)),
        is_trapezoid(Traits::kIsGeneral &&
                     backward.params.estimator.estimator == Estimator::kTrapezoid) {}

  [[nodiscard]] __device__ __forceinline__ int own_token(int s, int h) const {
    return first + 16 * s + 8 * h + me.group;
  }

  /// Which rows of the graph have exactly one edge.
  [[nodiscard]] __device__ __forceinline__ const std::uint8_t* only_edge() const {
    return call.workspace.only_edge + graph * queries;
  }

  /// The bits of the tile from `other_first` on.
  [[nodiscard]] __device__ __forceinline__ TileBits<kStrips> tile_bits(
      const BackwardShared<Traits>& shared, int tile, int other_first) const {
    const auto read = [&](const std::uint64_t* words) {
      if constexpr (Traits::kOwnsRows) {
        return bits_of_rows<kStrips>(words, warp_first, me);
      } else {
        return bits_of_columns<kStrips>(words, warp_first, me);
      }
    };
    TileBits<kStrips> bits;
    bits.edges = read(shared.mask(tile));
    bits.kept = bits.edges;
    bits.counted = bits.edges;
    if (call.dropout.threshold > 0) {
      const PhiloxKey key = call.params.shape.dropout_keys[graph];
      const auto own = static_cast<std::uint32_t>(first);
      const auto other = static_cast<std::uint32_t>(tile);
      if constexpr (Traits::kOwnsRows) {
        bits.kept = kept_of_rows<kStrips>(own, other, key, call.dropout.threshold, me);
      } else {
        bits.kept = kept_of_columns<kStrips>(own, other, key, call.dropout.threshold, me);
      }
    }
    if (is_trapezoid) {
      if (!Traits::kOwnsRows) bits.only_edge = byte_bits(only_edge(), other_first, queries, me);
      add_probes(shared, tile, other_first, read, bits);
    }
    if constexpr (!Traits::kIsGeneral) {
      if (call.workspace.may_saturate[graph] != 0) clear_saturated(other_first, bits.counted);
    }
    if (call.params.dense.law.self_loops != SelfLoops::kNone) {
      // A forced or removed cell of the diagonal was not drawn.
#pragma unroll
      for (int s = 0; s < kStrips; ++s) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int place = own_token(s, h) - other_first;
          if (place < 0 || place >= Traits::kTile || (place >> 1 & 3) != me.quad) continue;
          bits.counted.of[s][h] &= ~(1U << (place / 8 * 2 + (place & 1)));
        }
      }
    }
    return bits;
  }

  /// q of the chunk's counted cells.
  __device__ __forceinline__ void find_probabilities(
      int begin, int other_first, const TileBits<kStrips>& bits,
      float (&probabilities)[kStrips][kTiles][4]) const {
    const GraphLaw law = graph_law();
#pragma unroll
    for (int s = 0; s < kStrips; ++s) {
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        const int other = other_first + begin + 8 * t;
        const CellFragment sums = law.accumulate(first + 16 * s, other, me);
#pragma unroll
        for (int x = 0; x < 4; ++x) {
          probabilities[s][t][x] = 0.0F;
          if ((bits.counted.of[s][x / 2] >> (begin / 4 + 2 * t + x % 2) & 1) == 0) continue;
          const int own = own_token(s, x / 2);
          const int place = other + 2 * me.quad + x % 2;
          probabilities[s][t][x] =
              law.probability(sums.accumulator(x), Traits::kOwnsRows ? own : place,
                              Traits::kOwnsRows ? place : own);
        }
      }
    }
  }

  const BackwardCall& call;
  Lane me;
  std::int64_t graph;
  int first;       ///< the warp's first token
  int warp_first;  ///< its place in the block
  int queries;
  int keys;
  bool is_trapezoid;

 private:
  /// Counts TRAPEZOID's probes too: those of the mask, or every cell of two valid tokens.
  template <class Read>
  __device__ __forceinline__ void add_probes(const BackwardShared<Traits>& shared, int tile,
                                             int other_first, const Read& read,
                                             TileBits<kStrips>& bits) const {
    if (call.params.dense.probe_mask != nullptr) {
      const LaneBits<kStrips> probes = read(shared.probes(tile));
#pragma unroll
      for (int s = 0; s < kStrips; ++s) {
#pragma unroll
        for (int h = 0; h < 2; ++h) bits.counted.of[s][h] |= probes.of[s][h];
      }
    } else if (call.every_cell_probed) {
      const CellLaw& law = call.params.dense.law;
      const std::int64_t batch = graph / call.params.shape.heads;
      const std::uint8_t* query_valid =
          law.query_valid == nullptr ? nullptr : law.query_valid + batch * queries;
      const std::uint8_t* key_valid =
          law.key_valid == nullptr ? nullptr : law.key_valid + batch * keys;
      const std::uint8_t* own_valid = Traits::kOwnsRows ? query_valid : key_valid;
      const int own_count = Traits::kOwnsRows ? queries : keys;
      const std::uint32_t others = byte_bits(Traits::kOwnsRows ? key_valid : query_valid,
                                             other_first, Traits::kOwnsRows ? keys : queries, me);
#pragma unroll
      for (int s = 0; s < kStrips; ++s) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int token = own_token(s, h);
          if (token < own_count && (own_valid == nullptr || own_valid[token] != 0)) {
            bits.counted.of[s][h] |= others;
          }
        }
      }
    }
  }

  /// Made anew where it is needed: most launches do not, and registers are dear.
  [[nodiscard]] __device__ __forceinline__ GraphLaw graph_law() const {
    const AttentionShape& shape = call.params.shape;
    const CellLaw& law = call.params.dense.law;
    const int units = entry_units(shape.clusters);
    const LawSide rows = {law.weights + graph * queries * units, queries, units};
    const LawSide columns = {law.key_entries + graph * keys * units, keys, units};
    return {Traits::kOwnsRows ? rows : columns,
            Traits::kOwnsRows ? columns : rows,
            law.row_exponents + graph * queries,
            law.key_exponents + graph * keys,
            law.law,
            call.exploration};
  }

  /// Takes the cells out of `counted` whose P + delta reached 1.
  __device__ __forceinline__ void clear_saturated(int other_first,
                                                  LaneBits<kStrips>& counted) const {
    const GraphLaw law = graph_law();
#pragma unroll
    for (int s = 0; s < kStrips; ++s) {
#pragma unroll 1
      for (int t = 0; t < Traits::kTile / 8; ++t) {
        const int other = other_first + 8 * t;
        const CellFragment sums = law.accumulate(first + 16 * s, other, me);
#pragma unroll
        for (int x = 0; x < 4; ++x) {
          const std::uint32_t bit = 1U << (2 * t + x % 2);
          if ((counted.of[s][x / 2] & bit) == 0) continue;
          const int own = own_token(s, x / 2);
          const int place = other + 2 * me.quad + x % 2;
          if (law.is_saturated_cell(sums.accumulator(x), Traits::kOwnsRows ? own : place,
                                    Traits::kOwnsRows ? place : own)) {
            counted.of[s][x / 2] &= ~bit;
          }
        }
      }
    }
  }
};

}  // namespace sbm::kernels::cuda::dense
