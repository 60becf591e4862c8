#include "kernels/cpu/sampler.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "base/checked.h"
#include "kernels/cpu/sampler_graph.h"
#include "kernels/cpu/target.h"
#include "kernels/sampler_check.h"

namespace sbm::kernels::cpu {
namespace {

/// Rows of a piece when one graph is shared by several threads: whole groups.
constexpr std::int64_t kPieceRows = 4 * std::int64_t{kGroupRows};

template <typename T>
void append(const std::vector<T>& from, std::vector<T>& to) {
  to.insert(to.end(), from.begin(), from.end());
}

/// One call of sample_edges.
class SamplingCall {
 public:
  SamplingCall(const SamplingParams& params, Executor& executor, std::span<EdgeList> graphs,
               CellForm form)
      : params_(params), executor_(executor), graphs_(graphs), form_(form) {}

  Status run() {
    const auto graphs = static_cast<std::int64_t>(graphs_.size());
    heads_.resize(static_cast<std::size_t>(params_.heads));
    for_each(params_.heads, [&](std::int64_t head) {
      heads_[static_cast<std::size_t>(head)].pack(
          params_.block_matrix + head * params_.clusters * params_.clusters, params_.clusters);
    });
    // What is left when every thread has had as many whole graphs is shared in pieces.
    const std::int64_t shared = graphs % executor_.concurrency();
    draw_whole_graphs(graphs - shared);
    if (shared > 0) draw_in_pieces(graphs - shared, shared);
    if (bad_value_) return check_sampling_values(params_);
    if (out_of_memory_) return Status::invalid("sample_edges: out of memory for its workspace");
    return {};
  }

 private:
  template <typename Work>
  void for_each(std::int64_t count, const Work& work) {
    executor_.parallel_for(count, [&](std::int64_t i) {
      if (bad_value_ || out_of_memory_) return;
      try {
        work(i);
      } catch (const std::bad_alloc&) {
        out_of_memory_ = true;
      }
    });
  }

  bool prepare(GraphSampler& sampler, std::int64_t graph) {
    const std::int64_t head = graph % params_.heads;
    if (!sampler.prepare(params_, graph / params_.heads, head,
                         heads_[static_cast<std::size_t>(head)], form_)) {
      bad_value_ = true;
    }
    return !bad_value_;
  }

  void draw(GraphSampler& sampler, std::int64_t first, std::int64_t last, DrawnRows& rows) {
    const auto scratch = scratch_.lend();
    if (!sampler.draw(first, last, *scratch, rows)) bad_value_ = true;
  }

  void draw_whole_graphs(std::int64_t graphs) {
    ScratchPool<GraphSampler> samplers;
    for_each(graphs, [&](std::int64_t graph) {
      const auto sampler = samplers.lend();
      if (!prepare(*sampler, graph)) return;
      DrawnRows rows{.list = &graphs_[static_cast<std::size_t>(graph)]};
      draw(*sampler, 0, params_.queries, rows);
      if (rows.closed_gates == 0) rows.list->gates.clear();
    });
  }

  void draw_in_pieces(std::int64_t first, std::int64_t graphs) {
    const std::int64_t count = ceil_divide(params_.queries, kPieceRows);
    std::vector<GraphSampler> samplers(static_cast<std::size_t>(graphs));
    std::vector<EdgeList> lists(static_cast<std::size_t>(graphs * count));
    std::vector<DrawnRows> pieces(lists.size());
    for_each(graphs, [&](std::int64_t graph) {
      prepare(samplers[static_cast<std::size_t>(graph)], first + graph);
    });
    for_each(graphs * count, [&](std::int64_t i) {
      DrawnRows& piece = pieces[static_cast<std::size_t>(i)];
      piece.list = &lists[static_cast<std::size_t>(i)];
      const std::int64_t row = i % count * kPieceRows;
      draw(samplers[static_cast<std::size_t>(i / count)], row,
           std::min(row + kPieceRows, params_.queries), piece);
    });
    for_each(graphs, [&](std::int64_t graph) {
      join(std::span(pieces).subspan(static_cast<std::size_t>(graph * count),
                                     static_cast<std::size_t>(count)),
           graphs_[static_cast<std::size_t>(first + graph)]);
    });
  }

  /// Throws std::bad_alloc.
  void join(std::span<const DrawnRows> rows, EdgeList& graph) const {
    start_list(params_, graph);
    const bool gated = std::any_of(rows.begin(), rows.end(),
                                   [](const DrawnRows& piece) { return piece.closed_gates > 0; });
    std::size_t edges = 0;
    for (const DrawnRows& piece : rows) edges += piece.list->columns.size();
    graph.row_offsets.reserve(static_cast<std::size_t>(params_.queries) + 1);
    graph.columns.reserve(edges);
    if (gated) graph.gates.reserve(edges);
    for (const DrawnRows& piece : rows) {
      EdgeList& list = *piece.list;
      const std::int64_t begin = std::ssize(graph.columns);
      for (std::size_t i = 1; i < list.row_offsets.size(); ++i) {
        graph.row_offsets.push_back(begin + list.row_offsets[i]);
      }
      append(list.columns, graph.columns);
      append(list.probabilities, graph.probabilities);
      const std::int64_t first_probe = std::ssize(graph.probes.columns);
      for (std::size_t i = 1; i < list.probes.row_offsets.size(); ++i) {
        graph.probes.row_offsets.push_back(first_probe + list.probes.row_offsets[i]);
      }
      append(list.probes.columns, graph.probes.columns);
      append(list.probes.gates, graph.probes.gates);
      append(list.probes.probabilities, graph.probes.probabilities);
      if (gated) {
        open_gates(list, piece.first_row);
        append(list.gates, graph.gates);
      }
      graph.drawn_edges += list.drawn_edges;
      graph.forced_edges += list.forced_edges;
      graph.valid_cells += list.valid_cells;
    }
  }

  const SamplingParams& params_;
  Executor& executor_;
  std::span<EdgeList> graphs_;
  CellForm form_;
  std::vector<HeadBlock> heads_;
  ScratchPool<SamplerScratch> scratch_;
  std::atomic<bool> bad_value_ = false;
  std::atomic<bool> out_of_memory_ = false;
};

}  // namespace

Status sample_edges(const SamplingParams& params, Executor& executor, std::span<EdgeList> graphs,
                    CellForm form) {
  if (Status status = check_sampling(params, graphs.size()); !status.ok()) return status;
  if (graphs.empty()) return {};
  if (Status status = check_block_matrix(params); !status.ok()) return status;
  apply_target_override();
  try {
    return SamplingCall(params, executor, graphs, form).run();
  } catch (const std::bad_alloc&) {
    return Status::invalid("sample_edges: out of memory for its workspace");
  }
}

}  // namespace sbm::kernels::cpu
