#pragma once

#include <cstdint>

#include "kernels/cpu/attention_call.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/scratch.h"

// T = G Khat and R = G^T Qhat along the edges of a tile, with G and the memberships rounded to
// bfloat16 (nearest, ties to even) and summed in float.
namespace sbm::kernels::cpu {

/// Words of 16 bits in a row of rounded memberships: whole vectors.
std::int64_t bf16_row_width(std::int64_t clusters);

/// Rounds `count` rows of `clusters` memberships into rows of bf16_row_width(), in the order in
/// which the sums below read them.
void round_memberships(Rows rows, std::int64_t count, std::int64_t clusters, std::uint16_t* to);

/// T of a tile's rows. The first tile of a row block writes it, those right of it and probes add.
void bf16_tile_rows(const BackwardHead& head, const Tile& tile, const RowCursors& cursors,
                    const TileEdges& edges);

/// R of a tile's keys. The first tile of a key block writes it, those below and probes add.
void bf16_tile_keys(const BackwardHead& head, const Tile& tile, const TileEdges& edges);

}  // namespace sbm::kernels::cpu
