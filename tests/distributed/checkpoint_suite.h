#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "distributed/checkpoint/checkpoint.h"
#include "distributed/communicator.h"
#include "distributed/flat_layout.h"
#include "tests/temporary_folder.h"

namespace sbm::distributed::checkpoint {

/// Files of a folder by name, with their bytes; folders inside are listed with the text "<folder>".
std::map<std::string, std::string> contents(const std::filesystem::path& folder);
std::string read_bytes(const std::filesystem::path& file);
void write_bytes(const std::filesystem::path& file, const std::string& bytes);

/// A model whose tensors are of every awkward kind: rank 0, no elements, one larger than a block of
/// the hash, many small ones, names whose order is not that of the layout.
FlatLayout example_layout();
/// A few small tensors, for tests that save hundreds of times.
FlatLayout small_layout();

/// The state of a run at a step, the same whatever the world size; values vary with `step`.
struct ExampleState {
  ExampleState(const FlatLayout& layout, std::int64_t step);

  /// What `communicator`'s rank would hand to save(); spans point into this.
  [[nodiscard]] Snapshot snapshot(const Communicator& communicator) const;

  const FlatLayout* layout;
  std::int64_t step;
  std::vector<float> weights;
  std::vector<float> first_moment;   ///< whole, not a shard
  std::vector<float> second_moment;  ///< whole
};

/// Loads `folder` on this rank and expects exactly `state`, gaps as zeros.
void expect_loads(Communicator& communicator, const std::filesystem::path& folder,
                  const ExampleState& state);

/// The message of the CheckpointError that `body` throws; a test failure when it throws none.
template <typename Body>
std::string checkpoint_error(const Body& body) {
  try {
    body();
  } catch (const CheckpointError& error) {
    return error.what();
  }
  ADD_FAILURE() << "expected a CheckpointError";
  return {};
}

}  // namespace sbm::distributed::checkpoint
