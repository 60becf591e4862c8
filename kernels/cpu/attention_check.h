#pragma once

#include "kernels/cpu/attention.h"

namespace sbm::kernels::cpu {

/// Whether the parameters make sense together. Costs O(rows) a head: of the columns it looks at the
/// first and last of each row, as they ascend.
Status check(const ForwardParams& params);
Status check(const BackwardParams& params);

}  // namespace sbm::kernels::cpu
