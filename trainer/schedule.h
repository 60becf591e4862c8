#pragma once

#include <cstdint>

#include "trainer/config.pb.h"

// Values that follow from the number of the optimiser step alone. Updates are counted from 1: the
// first optimiser step of a run is update 1, the last is update training.steps.
namespace sbm::trainer {

/// Learning rate of an update. With L = learning_rate, W = warmup_steps, T = steps:
///   WARMUP_LINEAR    L update / W up to update W, then L (T + 1 - update) / (T + 1 - W): zero is
///                    reached once all T updates are done, so none is wasted on a zero rate.
///   ONE_CYCLE_LINEAR PyTorch's OneCycleLR(max_lr = L, total_steps = T, pct_start = W / T,
///                    anneal_strategy = "linear"), whose step_num is update - 1: from L / 25 at
///                    update 1 to L at update W, then to L / 250000 at update T. (With W = 1 the
///                    first update already has L, where PyTorch divides zero by zero.) PyTorch's
///                    also swings Adam's beta1 between .95 and .85 unless told not to, as in the
///                    published runs; here beta1 is constant.
///   WARMUP_CONSTANT  L update / W up to update W, then L.
/// With W = 0 the warm-up is left out. Updates beyond T get the rate of update T.
double learning_rate(const Training& training, std::int64_t update);

/// Weight of the density term in the loss of an update: 0 up to density_start_step, then rising
/// linearly over density_ramp_steps updates to density_weight. 0 for FULL attention, whose density
/// is 1 whatever is learnt.
double density_weight(const Attention& attention, std::int64_t update);

}  // namespace sbm::trainer
