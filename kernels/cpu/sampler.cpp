#include "kernels/cpu/sampler.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "kernels/cpu/sampler_graph.h"
#include "kernels/cpu/sampler_pieces.h"
#include "kernels/cpu/target.h"
#include "kernels/sampler_check.h"

namespace sbm::kernels::cpu {
namespace {

/// Rows of a piece when one graph is shared by several threads: whole groups.
constexpr std::int64_t kPieceRows = 4 * std::int64_t{kGroupRows};

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

  void begin(GraphSampler& sampler, std::int64_t graph) {
    const std::int64_t head = graph % params_.heads;
    sampler.begin(params_, graph / params_.heads, head, heads_[static_cast<std::size_t>(head)]);
  }

  void draw(GraphSampler& sampler, std::int64_t first, std::int64_t last, DrawnRows& rows) {
    const auto scratch = scratch_.lend();
    if (!sampler.draw(first, last, *scratch, rows)) bad_value_ = true;
  }

  void draw_whole_graphs(std::int64_t graphs) {
    ScratchPool<GraphSampler> samplers;
    for_each(graphs, [&](std::int64_t graph) {
      const auto sampler = samplers.lend();
      begin(*sampler, graph);
      if (!sampler->quantize_keys(0, params_.keys)) {
        bad_value_ = true;
        return;
      }
      sampler->prepare(form_);
      DrawnRows rows{.list = &graphs_[static_cast<std::size_t>(graph)]};
      draw(*sampler, 0, params_.queries, rows);
      if (rows.closed_gates == 0) rows.list->gates.clear();
    });
  }

  void draw_in_pieces(std::int64_t first, std::int64_t graphs) {
    const std::int64_t count = ceil_divide(params_.queries, kPieceRows);
    const std::int64_t key_pieces = ceil_divide(params_.keys, kPieceRows);
    std::vector<GraphSampler> samplers(static_cast<std::size_t>(graphs));
    PieceLists lists;
    std::deque<JoinedGraph> joined;
    for (std::int64_t graph = 0; graph < graphs; ++graph) {
      begin(samplers[static_cast<std::size_t>(graph)], first + graph);
      joined.emplace_back(params_, count, lists, graphs_[static_cast<std::size_t>(first + graph)]);
    }
    for_each(graphs * key_pieces, [&](std::int64_t i) {
      const std::int64_t key = i % key_pieces * kPieceRows;
      const std::int64_t end = std::min(key + kPieceRows, params_.keys);
      if (!samplers[static_cast<std::size_t>(i / key_pieces)].quantize_keys(key, end)) {
        bad_value_ = true;
      }
    });
    for_each(graphs,
             [&](std::int64_t graph) { samplers[static_cast<std::size_t>(graph)].prepare(form_); });
    for_each(graphs * count, [&](std::int64_t i) {
      const auto graph = static_cast<std::size_t>(i / count);
      const std::int64_t row = i % count * kPieceRows;
      std::unique_ptr<EdgeList> list = lists.lend();
      DrawnRows piece{.list = list.get()};
      draw(samplers[graph], row, std::min(row + kPieceRows, params_.queries), piece);
      if (!bad_value_) joined[graph].add(i % count, piece, std::move(list));
    });
    for (JoinedGraph& graph : joined) graph.finish();
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
