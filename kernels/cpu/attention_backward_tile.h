#pragma once

#include <cstdint>

#include "kernels/cpu/attention_call.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/scratch.h"

// The arithmetic of the backward, one tile at a time, on the widest vectors of this processor.
namespace sbm::kernels::cpu {

/// Floats in a vector of the instruction set that the functions below will use.
std::int64_t backward_lanes();

/// The rows' side: dQ and T, and what each edge passes on, sorted by key into `edges`. The first
/// tile of a row block writes its outputs, those right of it add to them.
void backward_tile_rows(const BackwardHead& head, const Tile& tile, const RowCursors& cursors,
                        const TileEdges& edges, const RowScratch& scratch);

/// The keys' side: dK, dV and R from `edges`. The first tile of a key block writes its outputs,
/// those below add to them.
void backward_tile_keys(const BackwardHead& head, const Tile& tile, const TileEdges& edges,
                        const RowScratch& scratch);

}  // namespace sbm::kernels::cpu
