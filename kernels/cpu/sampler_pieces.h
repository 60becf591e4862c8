#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/cpu/sampler_graph.h"
#include "kernels/edge_list.h"
#include "kernels/sampling.h"

// One graph whose rows are drawn by several threads.
namespace sbm::kernels::cpu {

/// Lists to draw pieces into, as many as are in use at once: fresh memory costs more than copying
/// out of memory that is still in the cache.
class PieceLists {
 public:
  /// Throws std::bad_alloc.
  std::unique_ptr<EdgeList> lend();
  void give_back(std::unique_ptr<EdgeList> list);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<EdgeList>> free_;
};

/// Puts the pieces of a graph together, in the order of their rows, while others are still drawn.
class JoinedGraph {
 public:
  /// `graph` is replaced. Throws std::bad_alloc.
  JoinedGraph(const SamplingParams& params, std::int64_t pieces, PieceLists& lists,
              EdgeList& graph);

  /// Takes piece `index`, in any order and from any thread; `rows.list` is `list`. Throws
  /// std::bad_alloc, after which the graph is of no use.
  void add(std::int64_t index, const DrawnRows& rows, std::unique_ptr<EdgeList> list);
  /// When all pieces are added.
  void finish();

 private:
  struct Piece {
    DrawnRows rows;
    std::unique_ptr<EdgeList> list;
  };
  void append(const Piece& piece);

  PieceLists& lists_;
  DrawnRows joined_;
  std::mutex mutex_;
  std::vector<Piece> waiting_;
  std::size_t next_ = 0;  ///< piece to append
  bool joining_ = false;  ///< a thread is appending
};

}  // namespace sbm::kernels::cpu
