#include "kernels/cpu/sampler_pieces.h"

#include <algorithm>
#include <utility>

namespace sbm::kernels::cpu {
namespace {

template <typename T>
void append_all(const std::vector<T>& from, std::vector<T>& to) {
  to.insert(to.end(), from.begin(), from.end());
}

void append_offsets(const std::vector<std::int64_t>& from, std::int64_t begin,
                    std::vector<std::int64_t>& to) {
  for (std::size_t i = 1; i < from.size(); ++i) to.push_back(begin + from[i]);
}

}  // namespace

std::unique_ptr<EdgeList> PieceLists::lend() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (free_.empty()) return std::make_unique<EdgeList>();
  std::unique_ptr<EdgeList> list = std::move(free_.back());
  free_.pop_back();
  return list;
}

void PieceLists::give_back(std::unique_ptr<EdgeList> list) {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(std::move(list));
}

JoinedGraph::JoinedGraph(const SamplingParams& params, std::int64_t pieces, PieceLists& lists,
                         EdgeList& graph)
    : lists_(lists), joined_{.list = &graph}, waiting_(static_cast<std::size_t>(pieces)) {
  start_list(params, graph);
  graph.row_offsets.reserve(static_cast<std::size_t>(params.queries) + 1);
}

void JoinedGraph::add(std::int64_t index, const DrawnRows& rows, std::unique_ptr<EdgeList> list) {
  std::unique_lock<std::mutex> lock(mutex_);
  waiting_[static_cast<std::size_t>(index)] = {rows, std::move(list)};
  // Nobody waits for another: who comes while a thread is appending leaves its piece to that one.
  if (joining_) return;
  joining_ = true;
  for (; next_ < waiting_.size() && waiting_[next_].list != nullptr; ++next_) {
    Piece piece = std::move(waiting_[next_]);
    lock.unlock();
    append(piece);
    lists_.give_back(std::move(piece.list));
    lock.lock();
  }
  joining_ = false;
}

void JoinedGraph::finish() {
  if (joined_.closed_gates == 0) joined_.list->gates.clear();
}

void JoinedGraph::append(const Piece& piece) {
  EdgeList& graph = *joined_.list;
  EdgeList& list = *piece.list;
  if (graph.columns.empty()) {
    // The other pieces will be about as long.
    constexpr std::size_t kMostReserved = std::size_t{1} << 24;
    const std::size_t pieces = waiting_.size();
    graph.columns.reserve(
        std::min((list.columns.size() + list.columns.size() / 16) * pieces, kMostReserved));
  }
  if (piece.rows.closed_gates > 0 || !graph.gates.empty()) {
    open_gates(graph, 0);
    open_gates(list, piece.rows.first_row);
    append_all(list.gates, graph.gates);
  }
  append_offsets(list.row_offsets, std::ssize(graph.columns), graph.row_offsets);
  append_all(list.columns, graph.columns);
  append_all(list.probabilities, graph.probabilities);
  append_offsets(list.probes.row_offsets, std::ssize(graph.probes.columns),
                 graph.probes.row_offsets);
  append_all(list.probes.columns, graph.probes.columns);
  append_all(list.probes.gates, graph.probes.gates);
  append_all(list.probes.probabilities, graph.probes.probabilities);
  graph.drawn_edges += list.drawn_edges;
  graph.forced_edges += list.forced_edges;
  graph.valid_cells += list.valid_cells;
  joined_.closed_gates += piece.rows.closed_gates;
}

}  // namespace sbm::kernels::cpu
