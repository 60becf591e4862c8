#include "distributed/gradient_reducer.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace sbm::distributed {
namespace {

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

/// Floats in the memory of a FlatMath.
struct Buffer {
  Buffer() = default;
  Buffer(FlatMath& math, std::size_t count)
      : memory(math.allocate(count * sizeof(float))), size(count) {}
  [[nodiscard]] float* data() const { return reinterpret_cast<float*>(memory.get()); }
  [[nodiscard]] std::span<float> span() const { return {data(), size}; }
  std::shared_ptr<std::byte> memory;
  std::size_t size = 0;
};

}  // namespace

struct GradientReducer::State {
  State(Communicator& group, const FlatLayout& flat, std::int64_t micro_batches,
        FlatMath& arithmetic)
      : communicator(group),
        layout(flat),
        math(arithmetic),
        run(micro_batch_run(group.rank(), group.world_size(), micro_batches)),
        merges_after(merges_after_leaves(micro_batches, run)),
        own_partials(maximal_subtrees(micro_batches, run).size()),
        leaf(arithmetic, static_cast<std::size_t>(flat.size())) {
    if (group.memory() != arithmetic.memory()) {
      throw InternalError("gradients are summed in one kind of memory and exchanged in another");
    }
    for (std::size_t i = stack_height(merges_after); i > 0; --i) {
      stack.emplace_back(math, static_cast<std::size_t>(flat.size()));
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
    receive = Buffer(math, begin);
    for (const Merge& merge : merge_order({0, micro_batches}, partials)) {
      owner_additions.push_back(
          {receive.data() + places[merge.to], receive.data() + places[merge.from]});
    }
  }

  void take_leaf() {
    const auto merges = static_cast<std::size_t>(merges_after[done]);
    if (merges == 0) {
      math.copy(std::as_bytes(leaf.span()), stack[depth++].memory.get());
      return;
    }
    std::vector<Addition> additions;
    const float* from = leaf.data();
    for (std::size_t m = 1; m <= merges; ++m) {
      float* const to = stack[depth - m].data();
      additions.push_back({to, from});
      from = to;
    }
    math.add(additions, leaf.size);
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
    // On a device the host does not wait: the sums take their place behind the exchange.
    for (const auto& work : under_way) work->wait_in_stream();
    math.add(owner_additions, shard_size);
  }

  Communicator& communicator;
  const FlatLayout& layout;
  FlatMath& math;
  ElementRange run;
  std::vector<std::int64_t> merges_after;
  std::size_t own_partials;
  Buffer leaf;
  std::vector<Buffer> stack;
  std::size_t depth = 0;
  std::size_t done = 0;  ///< micro-batches of this step
  bool reduced = false;

  std::size_t shard_size = 0;
  std::vector<std::size_t> send_offsets;  ///< bytes
  std::vector<Round> rounds;
  Buffer receive;
  std::vector<Addition> owner_additions;  ///< within `receive`
};

GradientReducer::GradientReducer(Communicator& communicator, const FlatLayout& layout,
                                 std::int64_t micro_batches, FlatMath& math)
    : state_(std::make_unique<State>(communicator, layout, micro_batches, math)) {}

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
  s.math.clear(s.leaf.span());
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
  std::size_t floats = state_->leaf.size + state_->receive.size;
  for (const Buffer& buffer : state_->stack) floats += buffer.size;
  return static_cast<std::int64_t>(floats * sizeof(float));
}

}  // namespace sbm::distributed
