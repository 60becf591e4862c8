#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <vector>

#include "tests/bench/random_attention.h"

// A whole step (sampling, forward, backward, products with the memberships) beside LibTorch's full
// attention on the same queries, keys and values, in turn in one process: the ratio holds when the
// machine's speed drifts.
namespace sbm::bench {
namespace {

struct Sizes {
  std::int64_t tokens = 2048;
  std::int64_t batch = 8;
  std::int64_t heads = 2;
  std::int64_t head_dim = 32;
  std::int64_t clusters = 128;
  std::vector<double> densities = {0.25, 0.1, 0.05, 0.01, 0.001};
  int threads = 1;
  int repeats = 9;
};

double seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(const Sizes& sizes, double density) {
  const RandomAttention inputs(sizes.batch, sizes.heads, sizes.tokens, sizes.head_dim,
                               sizes.clusters, density);
  double edges = 0.0;
  const auto sparse = [&] {
    const auto result = inputs.forward();
    result.output.sum().backward();
    const at::Tensor counts = result.edge_counts.flatten(0, 1).sum(0);
    edges = (counts[0] + counts[1]).item<double>() / counts[2].item<double>();
  };
  const auto full = [&] {
    at::scaled_dot_product_attention(inputs.query, inputs.key, inputs.value).sum().backward();
  };
  sparse();
  full();
  std::vector<double> sparse_times, full_times, ratios;
  for (int i = 0; i < sizes.repeats; ++i) {
    sparse_times.push_back(seconds(sparse));
    full_times.push_back(seconds(full));
    ratios.push_back(sparse_times.back() / full_times.back());
  }
  fmt::print("{:>9.2f} %{:>12.1f} ms{:>12.1f} ms{:>10.3f}\n", 100.0 * edges,
             1000.0 * median(sparse_times), 1000.0 * median(full_times), median(ratios));
}

}  // namespace
}  // namespace sbm::bench

int main(int argc, char** argv) {
  sbm::bench::Sizes sizes;
  CLI::App app("Time of one step of SBM attention beside LibTorch's full attention, fp32");
  app.add_option("--tokens", sizes.tokens)->check(CLI::PositiveNumber);
  app.add_option("--batch", sizes.batch)->check(CLI::PositiveNumber);
  app.add_option("--heads", sizes.heads)->check(CLI::PositiveNumber);
  app.add_option("--head-dim", sizes.head_dim)->check(CLI::PositiveNumber);
  app.add_option("--clusters", sizes.clusters)->check(CLI::Range(1, 256));
  app.add_option("--density", sizes.densities, "means of P")->check(CLI::Range(0.0, 1.0));
  app.add_option("--threads", sizes.threads)->check(CLI::PositiveNumber);
  app.add_option("--repeats", sizes.repeats, "medians are of so many")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    at::set_num_threads(sizes.threads);
    fmt::print("{} tokens, batch {}, {} heads of {}, {} clusters, {} threads; medians of {}\n",
               sizes.tokens, sizes.batch, sizes.heads, sizes.head_dim, sizes.clusters,
               sizes.threads, sizes.repeats);
    fmt::print("{:>11}{:>15}{:>15}{:>10}\n", "density", "SBM step", "full step", "ratio");
    for (const double density : sizes.densities) sbm::bench::measure(sizes, density);
  } catch (const std::exception& error) {
    fmt::print(stderr, "step_time: {}\n", error.what());
    return 70;
  }
  return 0;
}
