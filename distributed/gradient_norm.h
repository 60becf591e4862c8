#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/flat_layout.h"
#include "distributed/flat_math.h"

namespace sbm::distributed {

/// Norm of the whole gradient from this rank's shard: squares summed in double within each 4,096
/// chunk, the chunks by the tree; equal on every rank and world size. Not a number, or infinite,
/// when some element is. Throws InternalError when the shard has another size than layout.shard.
/// For gradients in host memory.
double gradient_norm(Communicator& communicator, const FlatLayout& layout,
                     std::span<const float> gradient_shard);

/// The same norm, bit for bit, where the gradient lies, with what clipping makes of it: no host
/// waits for it. Every rank gathers the sums of all chunks and adds them in the order of the tree.
class GradientClip {
 public:
  /// clip_norm <= 0 clips nothing. All given outlive the object; communicator and math have one
  /// kind of memory (InternalError if not).
  GradientClip(Communicator& communicator, const FlatLayout& layout, double clip_norm,
               FlatMath& math);

  /// Collective. The state, in the memory of the math, is valid to the next call and on a device
  /// after what the current stream holds; for ShardedAdamW::step, and to be read now and then.
  /// Throws InternalError when the shard has another size than layout.shard.
  const ClipState* measure(std::span<const float> gradient_shard);

 private:
  Communicator& communicator_;
  FlatMath& math_;
  ElementRange shard_;
  std::int64_t chunks_;
  double clip_norm_;
  std::vector<std::size_t> offsets_;  ///< of each rank's chunks, in bytes of sums
  std::shared_ptr<std::byte> sums_;
  std::shared_ptr<std::byte> state_;
};

}  // namespace sbm::distributed
