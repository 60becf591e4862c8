#include <algorithm>
#include <vector>

#include "base/checked.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention_backward_tile.h"
#include "kernels/cpu/attention_bf16.h"
#include "kernels/cpu/attention_call.h"
#include "kernels/cpu/attention_check.h"
#include "kernels/cpu/attention_dense.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/target.h"
#include "kernels/cpu/workers.h"

namespace sbm::kernels::cpu {
namespace {

struct HeadScratch {
  RowScratch row;
  DenseHead dense_head;
  DenseScratch dense;
  AlignedBuffer<float> output_gains;
  RowCursors cursors;
  TileEdges edges;
  PaddedRows query, key, value, grad_output, query_membership, key_membership;
  AlignedBuffer<std::uint16_t> query_membership_bf16, key_membership_bf16;
};

/// One call: hands out its heads and works on parts of them.
class BackwardCall {
 public:
  explicit BackwardCall(const BackwardParams& params)
      : params_(params),
        lanes_(backward_lanes()),
        padded_dim_(round_up(params.shape.head_dim, lanes_)),
        padded_clusters_(round_up(params.shape.clusters, lanes_)),
        longest_row_(longest_row(params.graphs)) {}

  /// The head, its rows padded in `scratch`. Throws std::bad_alloc.
  BackwardHead head(std::int64_t index, HeadScratch& scratch) const {
    const AttentionShape& shape = params_.shape;
    const std::int64_t batch = index / shape.heads;
    const std::int64_t head = index % shape.heads;
    const std::int64_t n = shape.queries;
    const std::int64_t m = shape.keys;
    const auto features = [&](const HeadTensor<const float>& tensor, std::int64_t tokens,
                              PaddedRows& padded) {
      return padded.view(head_rows(tensor, batch, head), tokens, shape.head_dim, padded_dim_);
    };
    const auto memberships = [&](const float* data, std::int64_t tokens) {
      return Rows{data + index * tokens * shape.clusters, shape.clusters};
    };
    const auto rounded = [&](Rows rows, std::int64_t tokens, AlignedBuffer<std::uint16_t>& buffer) {
      const std::int64_t width = bf16_row_width(shape.clusters);
      std::uint16_t* to = buffer.reserve(static_cast<std::size_t>(tokens * width));
      round_memberships(rows, tokens, shape.clusters, to);
      return HalfRows{to, width};
    };
    BackwardHead result;
    describe_head(shape, params_.graphs, index, result);
    result.padded_dim = padded_dim_;
    result.estimator = params_.estimator;
    if (params_.estimator.density_gradient != nullptr) {
      result.density_gradient = params_.estimator.density_gradient[head];
    }
    result.clusters = shape.clusters;
    result.padded_clusters = padded_clusters_;
    result.query = features(params_.query, n, scratch.query);
    result.key = features(params_.key, m, scratch.key);
    result.value = features(params_.value, m, scratch.value);
    result.grad_output = features(params_.grad_output, n, scratch.grad_output);
    result.output = head_rows(params_.output, batch, head);
    result.log_sum_exp = params_.log_sum_exp + index * n;
    const Rows query_membership = memberships(params_.query_membership, n);
    const Rows key_membership = memberships(params_.key_membership, m);
    result.bf16_memberships =
        params_.bf16_memberships && !result.is_dense && gains_by_bf16(shape, *result.graph);
    if (result.bf16_memberships) {
      result.query_membership_bf16 = rounded(query_membership, n, scratch.query_membership_bf16);
      result.key_membership_bf16 = rounded(key_membership, m, scratch.key_membership_bf16);
    } else {
      result.query_membership =
          scratch.query_membership.view(query_membership, n, shape.clusters, padded_clusters_);
      result.key_membership =
          scratch.key_membership.view(key_membership, m, shape.clusters, padded_clusters_);
    }
    result.grad_query = head_rows(params_.grad_query, batch, head);
    result.grad_key = head_rows(params_.grad_key, batch, head);
    result.grad_value = head_rows(params_.grad_value, batch, head);
    result.query_product = {params_.query_product + index * n * shape.clusters, shape.clusters};
    result.key_product = {params_.key_product + index * m * shape.clusters, shape.clusters};
    if (result.is_dense) {
      scratch.output_gains.reserve(static_cast<std::size_t>(n));
      scratch.dense_head.prepare(*result.graph, m, padded_dim_, result.key, result.value);
    }
    return result;
  }

  /// A block of kDenseRows rows of a dense head, which `owner` was filled for. Throws
  /// std::bad_alloc.
  void dense_rows(const BackwardHead& head, const HeadScratch& owner, std::int64_t block,
                  HeadScratch& scratch) const {
    scratch.dense.reserve(padded_dim_, 0);
    const std::int64_t first = block * kDenseRows;
    dense_backward_rows(head, owner.dense_head, first,
                        std::min(first + kDenseRows, params_.shape.queries),
                        owner.output_gains.data(), scratch.dense);
  }

  /// A panel of a dense head whose rows are done. Throws std::bad_alloc.
  void dense_keys(const BackwardHead& head, const HeadScratch& owner, std::int64_t panel,
                  HeadScratch& scratch) const {
    scratch.dense.reserve(padded_dim_, 0);
    dense_backward_keys(head, owner.dense_head, panel, owner.output_gains.data(), scratch.dense);
  }

  /// The rows' side of a tile; tiles of a row block come from left to right. Throws
  /// std::bad_alloc.
  void rows(const BackwardHead& head, const Tile& tile, RowCursors& cursors, TileEdges& edges,
            RowScratch& scratch) const {
    reserve(scratch);
    if (tile.first_key == 0) cursors.start(head.cells, tile);
    edges.start(head.cells, tile, cursors, head.bf16_memberships);
    backward_tile_rows(head, tile, cursors, edges, scratch);
    if (head.bf16_memberships) bf16_tile_rows(head, tile, cursors, edges);
    cursors.advance();
  }

  /// The keys' side of a tile; tiles of a key block come from top to bottom. Throws
  /// std::bad_alloc.
  void keys(const BackwardHead& head, const Tile& tile, const TileEdges& edges,
            RowScratch& scratch) const {
    reserve(scratch);
    backward_tile_keys(head, tile, edges, scratch);
    if (head.bf16_memberships) bf16_tile_keys(head, tile, edges);
  }

 private:
  void reserve(RowScratch& scratch) const {
    scratch.reserve(std::max(padded_dim_, padded_clusters_), longest_row_,
                    params_.shape.dropout > 0);
  }

  const BackwardParams& params_;
  std::int64_t lanes_;
  std::int64_t padded_dim_;
  std::int64_t padded_clusters_;
  std::int64_t longest_row_;
};

/// A head without queries or keys has no tile that would write its zeros.
bool goes_dense(const BackwardHead& head) {
  return head.is_dense && !head.cells.are_probes && head.cells.rows > 0 && head.keys > 0;
}

/// Calls pass(head) for the edges of the head, and once more for the probes of TRAPEZOID, which
/// add to T and R.
template <typename Pass>
void for_each_pass(BackwardHead head, const Pass& pass) {
  head.cells = edges_of(*head.graph);
  pass(head);
  if (head.estimator.estimator != Estimator::kTrapezoid) return;
  if (head.graph->probes.columns.empty()) return;
  head.cells = probes_of(*head.graph);
  pass(head);
}

}  // namespace

Status attention_backward(const BackwardParams& params, Executor& executor) {
  apply_target_override();
  if (Status status = check(params); !status.ok()) return status;
  const std::int64_t heads = params.shape.batch * params.shape.heads;
  const BackwardCall call(params);
  Workers<HeadScratch> workers(executor);

  const std::int64_t dense_blocks = ceil_divide(params.shape.queries, kDenseRows);
  const std::int64_t panels = ceil_divide(params.shape.keys, kDenseKeys);
  const auto whole_pass = [&](const BackwardHead& head, HeadScratch& scratch) {
    if (goes_dense(head)) {
      for (std::int64_t r = 0; r < dense_blocks; ++r) call.dense_rows(head, scratch, r, scratch);
      for (std::int64_t c = 0; c < panels; ++c) call.dense_keys(head, scratch, c, scratch);
      return;
    }
    const TileGrid grid(head.cells, params.shape.keys);
    for (std::int64_t r = 0; r < grid.row_blocks(); ++r) {
      for (std::int64_t c = 0; c < grid.key_blocks(); ++c) {
        const Tile tile(grid, r, c);
        call.rows(head, tile, scratch.cursors, scratch.edges, scratch.row);
        call.keys(head, tile, scratch.edges, scratch.row);
      }
    }
  };
  const auto whole_head = [&](HeadScratch& scratch, std::int64_t index) {
    for_each_pass(call.head(index, scratch),
                  [&](const BackwardHead& head) { whole_pass(head, scratch); });
  };
  // The same sums in the same order: each row block has one owner, then each key block has one.
  const auto split_pass = [&](const BackwardHead& head, HeadScratch& owner) {
    if (goes_dense(head)) {
      workers.for_each(dense_blocks, [&](HeadScratch& scratch, std::int64_t r) {
        call.dense_rows(head, owner, r, scratch);
      });
      if (!workers.status("").ok()) return;  // some rows have no output gains
      workers.for_each(panels, [&](HeadScratch& scratch, std::int64_t c) {
        call.dense_keys(head, owner, c, scratch);
      });
      return;
    }
    const TileGrid grid(head.cells, params.shape.keys);
    std::vector<TileEdges> edges(static_cast<std::size_t>(grid.row_blocks() * grid.key_blocks()));
    const auto edges_of = [&](std::int64_t r, std::int64_t c) -> TileEdges& {
      return edges[static_cast<std::size_t>(r * grid.key_blocks() + c)];
    };
    workers.for_each(grid.row_blocks(), [&](HeadScratch& scratch, std::int64_t r) {
      for (std::int64_t c = 0; c < grid.key_blocks(); ++c) {
        call.rows(head, Tile(grid, r, c), scratch.cursors, edges_of(r, c), scratch.row);
      }
    });
    if (!workers.status("").ok()) return;  // some edges have no values
    workers.for_each(grid.key_blocks(), [&](HeadScratch& scratch, std::int64_t c) {
      for (std::int64_t r = 0; r < grid.row_blocks(); ++r) {
        call.keys(head, Tile(grid, r, c), edges_of(r, c), scratch.row);
      }
    });
  };
  const auto split_head = [&](HeadScratch& head_scratch, std::int64_t index) {
    for_each_pass(call.head(index, head_scratch),
                  [&](const BackwardHead& head) { split_pass(head, head_scratch); });
  };
  if (splits_heads(heads, executor)) {
    for (std::int64_t index = 0; index < heads; ++index) workers.with_scratch(split_head, index);
  } else {
    workers.for_each(heads, whole_head);
  }
  return workers.status("attention_backward");
}

}  // namespace sbm::kernels::cpu
