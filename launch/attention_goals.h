#pragma once

namespace sbm::launch {

/// Measures attention on the CPU against its goals (docs/performance.md), each configuration in a
/// process of its own, and prints found beside goal. `repeats` as of `sbm bench attention`.
/// Returns the exit code. Throws InternalError when a measurement fails.
int run_attention_goals(int repeats, bool as_json);

}  // namespace sbm::launch
