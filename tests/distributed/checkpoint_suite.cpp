#include "tests/distributed/checkpoint_suite.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>

namespace sbm::distributed::checkpoint {
namespace {

std::vector<float> random_floats(const FlatLayout& layout, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> values(static_cast<std::size_t>(layout.size()), 0.0F);
  for (const FlatLayout::Entry& entry : layout.entries()) {
    for (std::int64_t i = entry.range.begin; i < entry.range.end; ++i) {
      values[static_cast<std::size_t>(i)] = std::ldexp(static_cast<float>(random() >> 40), -20);
    }
  }
  return values;
}

}  // namespace

std::string read_bytes(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read " + file.string());
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_bytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!stream.flush()) throw std::runtime_error("cannot write " + file.string());
}

std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files[entry.path().filename().string()] =
        entry.is_directory() ? "<folder>" : read_bytes(entry.path());
  }
  return files;
}

FlatLayout example_layout() {
  std::vector<ParameterSpec> parameters = {{"token_embedding.weight", {600, 64}, false},
                                           {"scale", {}, false},
                                           {"nothing", {3, 0, 5}, false}};
  for (int layer = 0; layer < 3; ++layer) {
    const std::string prefix = "encoder.layers." + std::to_string(layer) + ".";
    parameters.push_back({prefix + "norm.weight", {37}, false});
    parameters.push_back({prefix + "attention.query.weight", {37, 41}, true});
  }
  parameters.push_back({"classifier.weight", {1100, 1009}, true});  // more than one block
  parameters.push_back({"classifier.bias", {7}, false});
  return FlatLayout(std::move(parameters));
}

FlatLayout small_layout() {
  return FlatLayout({{"b.weight", {120, 60}, true}, {"a.weight", {5000}, true}, {"a.bias", {3}}});
}

ExampleState::ExampleState(const FlatLayout& of, std::int64_t at)
    : layout(&of),
      step(at),
      weights(random_floats(of, 3 * static_cast<std::uint64_t>(at))),
      first_moment(random_floats(of, 3 * static_cast<std::uint64_t>(at) + 1)),
      second_moment(random_floats(of, 3 * static_cast<std::uint64_t>(at) + 2)) {}

Snapshot ExampleState::snapshot(const Communicator& communicator) const {
  const ElementRange shard = layout->shard(communicator.rank(), communicator.world_size());
  const auto part = [&](const std::vector<float>& values) {
    return std::span(values).subspan(static_cast<std::size_t>(shard.begin),
                                     static_cast<std::size_t>(shard.size()));
  };
  Snapshot snapshot;
  snapshot.step = step;
  snapshot.layout = layout;
  snapshot.weights = weights;
  snapshot.first_moment = part(first_moment);
  snapshot.second_moment = part(second_moment);
  snapshot.trainer_state = "{\"step\": " + std::to_string(step) + "}\n";
  snapshot.sampler_version = 1;
  snapshot.data_fingerprint = "0123456789abcdef";
  snapshot.configuration = "training {\n  seed: 7  # \"ü\"\n}\n";
  return snapshot;
}

void expect_loads(Communicator& communicator, const std::filesystem::path& folder,
                  const ExampleState& state) {
  const Snapshot expected = state.snapshot(communicator);
  std::vector<float> weights(expected.weights.size(), -1.0F);
  std::vector<float> first(expected.first_moment.size(), -1.0F);
  std::vector<float> second(expected.second_moment.size(), -1.0F);
  const Restored restored = load(communicator, folder, *state.layout, weights, first, second);
  EXPECT_EQ(restored.step, state.step);
  EXPECT_EQ(restored.trainer_state, expected.trainer_state);
  EXPECT_EQ(restored.configuration, expected.configuration);
  EXPECT_EQ(restored.data_fingerprint, expected.data_fingerprint);
  EXPECT_EQ(restored.sampler_version, expected.sampler_version);
  // Not EXPECT_EQ: nobody wants a million numbers on the screen.
  EXPECT_TRUE(std::ranges::equal(weights, expected.weights));
  EXPECT_TRUE(std::ranges::equal(first, expected.first_moment));
  EXPECT_TRUE(std::ranges::equal(second, expected.second_moment));
}

}  // namespace sbm::distributed::checkpoint
