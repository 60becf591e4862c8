// Times the edge-list attention on one head and thread:
//   attention_bench [n=2048] [head_dim=32] [clusters=32] [density=0.25] [dropout=0] [repeats=20]
//                   [path=0: by density, 1: dense tiles, 2: along the edges] [bf16=0]
// prints the fastest forward, backward and k-wide products of the repeats.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "hwy/aligned_allocator.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/membership_gradients.h"
#include "tests/bench/timing.h"

namespace {

using sbm::bench::argument;
using sbm::bench::fastest_ms;
using sbm::kernels::EdgeList;
using sbm::kernels::HeadTensor;

EdgeList random_graph(std::int64_t tokens, double density, std::mt19937& generator) {
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  EdgeList graph;
  graph.row_offsets.push_back(0);
  for (std::int64_t i = 0; i < tokens; ++i) {
    for (std::int64_t j = 0; j < tokens; ++j) {
      if (uniform(generator) < density) graph.columns.push_back(static_cast<std::int32_t>(j));
    }
    graph.row_offsets.push_back(static_cast<std::int64_t>(graph.columns.size()));
  }
  return graph;
}

}  // namespace

int main(int argc, char** argv) {
  const auto n = static_cast<std::int64_t>(argument(argc, argv, 1, 2048));
  const auto d = static_cast<std::int64_t>(argument(argc, argv, 2, 32));
  const auto k = static_cast<std::int64_t>(argument(argc, argv, 3, 32));
  const double density = argument(argc, argv, 4, 0.25);
  const double dropout = argument(argc, argv, 5, 0.0);
  const auto repeats = static_cast<int>(argument(argc, argv, 6, 20));
  const auto path = static_cast<sbm::kernels::AttentionPath>(argument(argc, argv, 7, 0));
  const bool bf16 = argument(argc, argv, 8, 0) != 0;

  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  // Aligned to cache lines, as LibTorch's tensors are.
  const auto tensor = [&](std::int64_t width) {
    const auto count = static_cast<std::size_t>(n * width);
    hwy::AlignedFreeUniquePtr<float[]> values = hwy::AllocateAligned<float>(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = normal(generator);
    return values;
  };
  const auto query = tensor(d), key = tensor(d), value = tensor(d), output = tensor(d);
  const auto grad_output = tensor(d), grad_query = tensor(d), grad_key = tensor(d);
  const auto grad_value = tensor(d), log_sum_exp = tensor(1), query_membership = tensor(k);
  const auto key_membership = tensor(k), query_product = tensor(k), key_product = tensor(k);
  const std::vector<EdgeList> graphs = {random_graph(n, density, generator)};
  const sbm::PhiloxKey dropout_key = 42;

  const auto in = [&](const auto& data) {
    return HeadTensor<const float>{data.get(), n * d, n * d, d};
  };
  const auto out = [&](const auto& data) { return HeadTensor<float>{data.get(), n * d, n * d, d}; };
  const sbm::kernels::AttentionShape shape = {.batch = 1,
                                              .heads = 1,
                                              .queries = n,
                                              .keys = n,
                                              .head_dim = d,
                                              .clusters = k,
                                              .scale = 1 / std::sqrt(static_cast<float>(d)),
                                              .path = path,
                                              .dropout = dropout,
                                              .dropout_keys = &dropout_key};
  const sbm::kernels::cpu::ForwardParams forward = {.shape = shape,
                                                    .query = in(query),
                                                    .key = in(key),
                                                    .value = in(value),
                                                    .graphs = graphs,
                                                    .output = out(output),
                                                    .log_sum_exp = log_sum_exp.get()};
  const sbm::kernels::cpu::BackwardParams backward = {.shape = shape,
                                                      .estimator = {},
                                                      .query = in(query),
                                                      .key = in(key),
                                                      .value = in(value),
                                                      .graphs = graphs,
                                                      .output = in(output),
                                                      .log_sum_exp = log_sum_exp.get(),
                                                      .grad_output = in(grad_output),
                                                      .query_membership = query_membership.get(),
                                                      .key_membership = key_membership.get(),
                                                      .bf16_memberships = bf16,
                                                      .grad_query = out(grad_query),
                                                      .grad_key = out(grad_key),
                                                      .grad_value = out(grad_value),
                                                      .query_product = query_product.get(),
                                                      .key_product = key_product.get()};
  const auto block = hwy::AllocateAligned<float>(static_cast<std::size_t>(k * k));
  std::fill_n(block.get(), k * k, 1.0F / static_cast<float>(k * k));
  const auto block_gradient = hwy::AllocateAligned<float>(static_cast<std::size_t>(k * k));
  const sbm::kernels::cpu::MembershipGradientParams products = {
      .batch = 1,
      .heads = 1,
      .queries = n,
      .keys = n,
      .clusters = k,
      .query_membership = query_membership.get(),
      .block_matrix = block.get(),
      .query_product = query_product.get(),
      .key_product = key_product.get(),
      .block_gradient = block_gradient.get(),
      .bf16 = bf16};
  sbm::kernels::SerialExecutor executor;
  bool ok = true;
  const double forward_ms =
      fastest_ms(repeats, [&] { ok = ok && attention_forward(forward, executor).ok(); });
  const double backward_ms =
      fastest_ms(repeats, [&] { ok = ok && attention_backward(backward, executor).ok(); });
  const double products_ms =
      fastest_ms(repeats, [&] { ok = ok && membership_gradients(products, executor).ok(); });
  if (!ok) {
    std::fprintf(stderr, "attention_bench: the kernels refused these sizes\n");
    return 2;
  }
  const auto edges = static_cast<double>(graphs[0].columns.size());
  std::printf(
      "n %ld d %ld k %ld density %.4f dropout %.2f: forward %.3f ms (%.2f ns/edge), "
      "backward %.3f ms (%.2f ns/edge), products %.3f ms\n",
      static_cast<long>(n), static_cast<long>(d), static_cast<long>(k), density, dropout,
      forward_ms, 1e6 * forward_ms / edges, backward_ms, 1e6 * backward_ms / edges, products_ms);
  return 0;
}
