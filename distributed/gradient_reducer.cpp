#include "distributed/gradient_reducer.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "distributed/aligned_buffer.h"

namespace sbm::distributed {
namespace {

/// Every sum walks its buffers block by block, so that a block stays in the cache through all the
/// additions it takes part in.
constexpr std::size_t kBlock = FlatLayout::kChunk;

void add_block(float* to, const float* from) {
  for (std::size_t i = 0; i < kBlock; ++i) to[i] += from[i];
}

/// How many sums the stack holds at most while the leaves of a run come in.
std::size_t stack_height(std::span<const std::int64_t> merges_after) {
  std::int64_t depth = 0;
  std::int64_t highest = 0;
  for (const std::int64_t merges : merges_after) {
    depth += 1 - merges;
    // A leaf that completes a subtree is added straight to the top of the stack.
    highest = std::max(highest, depth);
  }
  return static_cast<std::size_t>(highest);
}

/// One all-to-all: the k-th partial sum of every rank that has so many.
struct Round {
  std::vector<std::size_t> receive_offsets;  ///< bytes, from the round's begin
  std::size_t begin = 0;                     ///< floats, in the receive buffer
  std::size_t size = 0;                      ///< floats
};

}  // namespace

struct GradientReducer::State {
  State(Communicator& group, const FlatLayout& flat, std::int64_t micro_batches)
      : communicator(group),
        layout(flat),
        run(micro_batch_run(group.rank(), group.world_size(), micro_batches)),
        merges_after(merges_after_leaves(micro_batches, run)),
        own_partials(maximal_subtrees(micro_batches, run).size()),
        leaf(static_cast<std::size_t>(flat.size())) {
    for (std::size_t i = stack_height(merges_after); i > 0; --i) {
      stack.emplace_back(static_cast<std::size_t>(flat.size()));
    }
    if (group.world_size() > 1) plan_exchange(micro_batches);
  }

  void plan_exchange(std::int64_t micro_batches) {
    const int ranks = communicator.world_size();
    shard_size = static_cast<std::size_t>(layout.shard(communicator.rank(), ranks).size());
    std::vector<ElementRange> partials;
    std::vector<std::size_t> counts;
    for (int r = 0; r < ranks; ++r) {
      const ElementRange theirs = micro_batch_run(r, ranks, micro_batches);
      const auto subtrees = maximal_subtrees(micro_batches, theirs);
      partials.insert(partials.end(), subtrees.begin(), subtrees.end());
      counts.push_back(subtrees.size());
      send_offsets.push_back(static_cast<std::size_t>(layout.shard(r, ranks).begin) *
                             sizeof(float));
    }
    send_offsets.push_back(static_cast<std::size_t>(layout.size()) * sizeof(float));

    std::size_t begin = 0;
    for (std::size_t k = 0; k < *std::max_element(counts.begin(), counts.end()); ++k) {
      Round round{{0}, begin, 0};
      for (const std::size_t count : counts) {
        if (k < count) round.size += shard_size;
        round.receive_offsets.push_back(round.size * sizeof(float));
      }
      begin += round.size;
      rounds.push_back(std::move(round));
    }
    // Where each partial sum, in the order of the tree, arrives.
    std::vector<std::size_t> places;
    for (std::size_t r = 0; r < counts.size(); ++r) {
      for (std::size_t k = 0; k < counts[r]; ++k) {
        places.push_back(rounds[k].begin + rounds[k].receive_offsets[r] / sizeof(float));
      }
    }
    for (const Merge& merge : merge_order({0, micro_batches}, partials)) {
      owner_merges.push_back({places[merge.to], places[merge.from]});
    }
    receive = AlignedBuffer(begin);
  }

  void take_leaf() {
    const auto merges = static_cast<std::size_t>(merges_after[done]);
    if (merges == 0) {
      std::copy_n(leaf.data(), leaf.size(), stack[depth++].data());
      return;
    }
    for (std::size_t at = 0; at < leaf.size(); at += kBlock) {
      const float* from = leaf.data() + at;
      for (std::size_t m = 1; m <= merges; ++m) {
        float* to = stack[depth - m].data() + at;
        add_block(to, from);
        from = to;
      }
    }
    depth -= merges - 1;
  }

  void exchange() {
    const std::vector<std::size_t> nothing(send_offsets.size());
    std::vector<std::unique_ptr<Work>> under_way;
    for (std::size_t k = 0; k < rounds.size(); ++k) {
      const bool have = k < own_partials;
      const auto target = receive.span().subspan(rounds[k].begin, rounds[k].size);
      under_way.push_back(communicator.all_to_all(
          have ? std::as_bytes(stack[k].span()) : std::span<const std::byte>(),
          have ? send_offsets : nothing, std::as_writable_bytes(target),
          rounds[k].receive_offsets));
    }
    for (const auto& work : under_way) work->wait();
    for (std::size_t at = 0; at < shard_size; at += kBlock) {
      for (const Merge& merge : owner_merges) {
        add_block(receive.data() + merge.to + at, receive.data() + merge.from + at);
      }
    }
  }

  Communicator& communicator;
  const FlatLayout& layout;
  ElementRange run;
  std::vector<std::int64_t> merges_after;
  std::size_t own_partials;
  AlignedBuffer leaf;
  std::vector<AlignedBuffer> stack;
  std::size_t depth = 0;
  std::size_t done = 0;  ///< micro-batches of this step
  bool reduced = false;

  std::size_t shard_size = 0;
  std::vector<std::size_t> send_offsets;  ///< bytes
  std::vector<Round> rounds;
  std::vector<Merge> owner_merges;  ///< places in `receive`, in floats
  AlignedBuffer receive;
};

GradientReducer::GradientReducer(Communicator& communicator, const FlatLayout& layout,
                                 std::int64_t micro_batches)
    : state_(std::make_unique<State>(communicator, layout, micro_batches)) {}

GradientReducer::~GradientReducer() = default;

ElementRange GradientReducer::run() const { return state_->run; }

std::span<float> GradientReducer::leaf() { return state_->leaf.span(); }

void GradientReducer::begin_micro_batch() {
  State& s = *state_;
  if (s.reduced) {
    s.reduced = false;
    s.done = 0;
    s.depth = 0;
  }
  std::fill_n(s.leaf.data(), s.leaf.size(), 0.0F);
}

void GradientReducer::end_micro_batch() {
  State& s = *state_;
  if (s.reduced || s.done == s.merges_after.size()) {
    throw InternalError("end_micro_batch: the " + std::to_string(s.merges_after.size()) +
                        " micro-batches of this rank's step are all in");
  }
  s.take_leaf();
  ++s.done;
}

std::span<const float> GradientReducer::reduce() {
  State& s = *state_;
  if (s.reduced || s.done != s.merges_after.size()) {
    throw InternalError("reduce: expected " + std::to_string(s.merges_after.size()) +
                        " new micro-batches on rank " + std::to_string(s.communicator.rank()) +
                        ", found " + std::to_string(s.reduced ? 0 : s.done));
  }
  s.reduced = true;
  if (s.communicator.world_size() == 1) return s.stack[0].span();
  s.exchange();
  return s.receive.span().first(s.shard_size);
}

std::int64_t GradientReducer::bytes() const {
  std::size_t floats = state_->leaf.size() + state_->receive.size();
  for (const AlignedBuffer& buffer : state_->stack) floats += buffer.size();
  return static_cast<std::int64_t>(floats * sizeof(float));
}

}  // namespace sbm::distributed
