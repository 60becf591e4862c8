#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/peak_memory.h"
#include "tests/bench/random_attention.h"

// How much memory one forward and backward of sbm_attention takes beyond its inputs, as the peak of
// the process's resident memory. `step_memory --help` names the sizes that can be set.
namespace sbm::bench {
namespace {

struct Sizes {
  std::int64_t tokens = 4096;
  std::int64_t batch = 1;
  std::int64_t heads = 2;
  std::int64_t head_dim = 32;
  std::int64_t clusters = 128;
  double density = 0.05;
  int threads = 0;
};

struct Measurement {
  double density = 0;  // edges over cells, forced diagonal included
  std::int64_t edges = 0;
  std::int64_t input_bytes = 0;    // q, k, v, memberships, S
  std::int64_t forward_bytes = 0;  // the peak of the forward, beyond the inputs
  std::int64_t saved_bytes = 0;    // resident between forward and backward, beyond the inputs
  std::int64_t step_bytes = 0;     // the peak of forward and backward, beyond the inputs
};

std::int64_t required(std::optional<std::int64_t> bytes) {
  if (!bytes) throw std::runtime_error("expected VmRSS and VmHWM in /proc/self/status, found none");
  return *bytes;
}

Measurement measure(const Sizes& sizes) {
  // Thread pools, BLAS buffers and code are paid for before anything is counted.
  RandomAttention(1, 1, 64, sizes.head_dim, sizes.clusters, sizes.density)
      .forward()
      .output.sum()
      .backward();

  const RandomAttention attention(sizes.batch, sizes.heads, sizes.tokens, sizes.head_dim,
                                  sizes.clusters, sizes.density);
  if (!reset_peak()) {
    throw std::runtime_error("expected a writable /proc/self/clear_refs, found none");
  }
  const std::int64_t before = required(status_bytes("VmRSS"));
  const kernels::torch::SbmAttentionResult result = attention.forward();
  Measurement measured;
  measured.forward_bytes = required(status_bytes("VmHWM")) - before;
  measured.saved_bytes = required(status_bytes("VmRSS")) - before;
  result.output.sum().backward();
  measured.step_bytes = required(status_bytes("VmHWM")) - before;

  const at::Tensor counts = result.edge_counts.flatten(0, 1).sum(0);
  measured.edges = counts[0].item<std::int64_t>() + counts[1].item<std::int64_t>();
  measured.density =
      static_cast<double>(measured.edges) / static_cast<double>(counts[2].item<std::int64_t>());
  for (const at::Tensor& input :
       {attention.query, attention.key, attention.value, attention.query_membership,
        attention.key_membership, attention.block_matrix}) {
    measured.input_bytes += static_cast<std::int64_t>(input.nbytes());
  }
  return measured;
}

void print(const Sizes& sizes, const Measurement& measured, bool as_json) {
  const std::int64_t dense_bytes = sizes.batch * sizes.heads * sizes.tokens * sizes.tokens * 4;
  if (as_json) {
    const nlohmann::ordered_json object = {{"tokens", sizes.tokens},
                                           {"batch", sizes.batch},
                                           {"heads", sizes.heads},
                                           {"head_dim", sizes.head_dim},
                                           {"clusters", sizes.clusters},
                                           {"threads", at::get_num_threads()},
                                           {"edges", measured.edges},
                                           {"density", measured.density},
                                           {"input_bytes", measured.input_bytes},
                                           {"forward_peak_bytes", measured.forward_bytes},
                                           {"saved_bytes", measured.saved_bytes},
                                           {"step_peak_bytes", measured.step_bytes},
                                           {"dense_float_mask_bytes", dense_bytes}};
    fmt::print("{}\n", object.dump());
    return;
  }
  const auto mebibytes = [](std::int64_t bytes) {
    return static_cast<double>(bytes) / (1024.0 * 1024.0);
  };
  fmt::print("{} tokens, batch {}, {} heads of {}, {} clusters, {} edges ({:.2f} %)\n",
             sizes.tokens, sizes.batch, sizes.heads, sizes.head_dim, sizes.clusters, measured.edges,
             100.0 * measured.density);
  const auto row = [&](const char* name, std::int64_t bytes) {
    fmt::print("{:<52}{:>10.1f} MiB\n", name, mebibytes(bytes));
  };
  row("inputs", measured.input_bytes);
  row("peak of the forward, beyond the inputs", measured.forward_bytes);
  row("kept for the backward", measured.saved_bytes);
  row("peak of forward and backward, beyond the inputs", measured.step_bytes);
  row("one float for each cell would be", dense_bytes);
}

}  // namespace
}  // namespace sbm::bench

int main(int argc, char** argv) {
  sbm::bench::Sizes sizes;
  bool as_json = false;
  CLI::App app("Peak memory of one forward and backward of SBM attention");
  app.add_option("--tokens", sizes.tokens, "queries and keys")->check(CLI::PositiveNumber);
  app.add_option("--batch", sizes.batch)->check(CLI::PositiveNumber);
  app.add_option("--heads", sizes.heads)->check(CLI::PositiveNumber);
  app.add_option("--head-dim", sizes.head_dim)->check(CLI::PositiveNumber);
  app.add_option("--clusters", sizes.clusters)->check(CLI::Range(1, 256));
  app.add_option("--density", sizes.density, "mean of P")->check(CLI::Range(0.0, 1.0));
  app.add_option("--threads", sizes.threads, "0: as many as LibTorch finds")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--json", as_json, "one object instead of a table");
  CLI11_PARSE(app, argc, argv);
  try {
    if (sizes.threads > 0) at::set_num_threads(sizes.threads);
    sbm::bench::print(sizes, sbm::bench::measure(sizes), as_json);
  } catch (const std::exception& error) {
    fmt::print(stderr, "step_memory: {}\n", error.what());
    return 70;
  }
  return 0;
}
