#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#include "cuda_host/attention_edges_case.h"
#include "cuda_host/stream.h"
#include "kernels/cuda/attention_delta.cuh"
#include "kernels/cuda/attention_edges_backward.cuh"
#include "kernels/cuda/attention_edges_forward.cuh"
#include "kernels/reference/sampler.h"

// The edge-list kernels against the reference, in every order of threads.
namespace sbm::cuda_host {
namespace {

constexpr Estimator kEstimators[] = {Estimator::kPaper, Estimator::kReference,
                                     Estimator::kTrapezoid};

/// A graph with the cells that `is_edge` says, gates and probabilities of all sizes, and probes of
/// the rest when TRAPEZOID asks.
struct GraphSpec {
  std::function<bool(std::int64_t row, std::int64_t key)> is_edge;
  bool diagonal_forced = true;
  bool gates = false;
};

EdgeList make_graph(const EdgeCaseSpec& spec, const GraphSpec& graph_spec,
                    std::mt19937_64& generator) {
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  // Also below the bounds of the estimator.
  const auto draw_probability = [&] { return static_cast<float>(std::pow(uniform(generator), 4)); };
  EdgeList graph;
  graph.diagonal_forced = graph_spec.diagonal_forced;
  graph.row_offsets.push_back(0);
  const bool is_trapezoid = spec.estimator == Estimator::kTrapezoid;
  if (is_trapezoid) graph.probes.row_offsets.push_back(0);
  for (std::int64_t i = 0; i < spec.queries; ++i) {
    for (std::int64_t j = 0; j < spec.keys; ++j) {
      const bool on_diagonal = graph.diagonal_forced && i == j;
      if (graph_spec.is_edge(i, j)) {
        graph.columns.push_back(static_cast<std::int32_t>(j));
        if (graph_spec.gates) {
          graph.gates.push_back(on_diagonal ? 0.0F : static_cast<float>(uniform(generator)));
        }
        if (is_trapezoid) graph.probabilities.push_back(draw_probability());
      } else if (is_trapezoid && !on_diagonal && uniform(generator) < spec.probe_rate) {
        graph.probes.columns.push_back(static_cast<std::int32_t>(j));
        graph.probes.probabilities.push_back(draw_probability());
        if (graph_spec.gates) {
          graph.probes.gates.push_back(static_cast<float>(uniform(generator)));
        }
      }
    }
    graph.row_offsets.push_back(static_cast<std::int64_t>(graph.columns.size()));
    if (is_trapezoid) {
      graph.probes.row_offsets.push_back(static_cast<std::int64_t>(graph.probes.columns.size()));
    }
  }
  return graph;
}

std::vector<EdgeList> make_graphs(const EdgeCaseSpec& spec, const GraphSpec& graph_spec,
                                  std::mt19937_64& generator) {
  std::vector<EdgeList> graphs;
  for (std::int64_t g = 0; g < spec.batch * spec.heads; ++g) {
    graphs.push_back(make_graph(spec, graph_spec, generator));
  }
  return graphs;
}

/// Edges at random; each fifth row and the last `padded` rows and columns have none, and each
/// fifth row has one.
GraphSpec random_graph(const EdgeCaseSpec& spec, double density, std::int64_t padded,
                       std::mt19937_64& generator) {
  GraphSpec graph;
  graph.is_edge = [=, &generator](std::int64_t i, std::int64_t j) {
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    if (i >= spec.queries - padded || j >= spec.keys - padded || i % 5 == 3) return false;
    if (i % 5 == 2) return j == i % spec.keys;
    return i == j || uniform(generator) < density;
  };
  return graph;
}

std::vector<std::uint32_t> all_graphs(const EdgeCaseSpec& spec) {
  std::vector<std::uint32_t> work(static_cast<std::size_t>(spec.batch * spec.heads));
  std::iota(work.begin(), work.end(), 0U);
  return work;
}

class AttentionEdges : public testing::TestWithParam<std::tuple<int, int, int>> {};

// Every instance: precision, head_dim and estimator, with few and with many clusters.
TEST_P(AttentionEdges, MatchesTheReference) {
  const auto [precision, head_dim, estimator] = GetParam();
  for (const std::int64_t clusters : {20, 129}) {
    EdgeCaseSpec spec;
    spec.precision = static_cast<Precision>(precision);
    spec.head_dim = head_dim;
    spec.estimator = static_cast<Estimator>(estimator);
    spec.clusters = clusters;
    spec.queries = 37;
    spec.keys = 34;
    spec.dropout = clusters == 20 ? 0.0 : 0.25;
    spec.clip = 0.05F;
    spec.gap = 8;
    std::mt19937_64 generator(static_cast<std::uint64_t>(head_dim + clusters));
    GraphSpec graph = random_graph(spec, 0.25, 3, generator);
    graph.gates = clusters == 129;
    EdgeCase(spec, make_graphs(spec, graph, generator), all_graphs(spec)).check_briefly();
  }
}

INSTANTIATE_TEST_SUITE_P(Instances, AttentionEdges,
                         testing::Combine(testing::Values(0, 1), testing::Values(32, 64, 128),
                                          testing::Values(0, 1, 2)));

// Each head_dim has a thread mapping of its own.
TEST(AttentionEdgesOrders, GiveTheSameBits) {
  for (const std::int64_t head_dim : {32, 64, 128}) {
    EdgeCaseSpec spec;
    spec.head_dim = head_dim;
    spec.precision = head_dim == 64 ? Precision::kFloat32 : Precision::kBfloat16;
    spec.estimator = Estimator::kTrapezoid;
    spec.heads = 2;
    spec.queries = 34;
    spec.keys = 37;
    spec.dropout = 0.25;
    std::mt19937_64 generator(3);
    const GraphSpec graph = random_graph(spec, 0.2, 1, generator);
    EdgeCase(spec, make_graphs(spec, graph, generator), all_graphs(spec)).check();
  }
}

// Lines of more than 512 cells are cut among the teams of a block.
TEST(AttentionEdgesLines, CutsLongLines) {
  for (const Estimator estimator : kEstimators) {
    for (const bool long_rows : {true, false}) {
      EdgeCaseSpec spec;
      spec.estimator = estimator;
      spec.precision = long_rows ? Precision::kFloat32 : Precision::kBfloat16;
      spec.head_dim = long_rows ? 32 : 64;
      spec.clusters = 12;
      spec.queries = long_rows ? 7 : 600;
      spec.keys = long_rows ? 600 : 7;
      // Some lines are long by their probes alone.
      spec.probe_rate = 0.95;
      std::mt19937_64 generator(5);
      GraphSpec graph;
      graph.is_edge = [&](std::int64_t i, std::int64_t j) {
        const std::int64_t line = long_rows ? i : j;
        const std::int64_t other = long_rows ? j : i;
        return line < 3 ? other % 41 != 0 : other % 97 == line;
      };
      EdgeCase(spec, make_graphs(spec, graph, generator), all_graphs(spec)).check_briefly();
    }
  }
}

// One edge a row and none at all: gradients of the scores vanish, TRAPEZOID has its own forms.
TEST(AttentionEdgesLines, TakesSingleEdgesAndEmptyGraphs) {
  for (const Estimator estimator : kEstimators) {
    for (const int edges : {0, 1}) {
      EdgeCaseSpec spec;
      spec.estimator = estimator;
      spec.queries = 35;
      spec.keys = 33;
      spec.dropout = 0.1;
      std::mt19937_64 generator(6);
      GraphSpec graph;
      graph.diagonal_forced = false;
      graph.is_edge = [&](std::int64_t i, std::int64_t j) {
        return edges == 1 && j == (7 * i) % 33;
      };
      EdgeCase(spec, make_graphs(spec, graph, generator), all_graphs(spec)).check();
    }
  }
}

// The path writes the graphs of its list, in whatever order they stand there, and no others.
TEST(AttentionEdgesWork, OwnsTheGraphsOfItsList) {
  EdgeCaseSpec spec;
  spec.batch = 2;
  spec.heads = 3;
  spec.queries = 34;
  spec.keys = 34;
  spec.estimator = Estimator::kTrapezoid;
  std::mt19937_64 generator(7);
  const GraphSpec graph = random_graph(spec, 0.2, 0, generator);
  const std::vector<EdgeList> graphs = make_graphs(spec, graph, generator);
  const std::vector<std::uint32_t> work = {5, 0, 3};
  const EdgeCase some(spec, graphs, work);
  some.check();
  const EdgeOutputs outputs = some.run();
  for (const std::uint32_t other : {1U, 2U, 4U}) {
    const auto first = static_cast<std::size_t>(other * spec.queries);
    for (std::size_t i = first; i < first + static_cast<std::size_t>(spec.queries); ++i) {
      EXPECT_TRUE(std::isnan(outputs.log_sum_exp[i]));
    }
    EXPECT_TRUE(std::isnan(outputs.query_product[first * static_cast<std::size_t>(spec.clusters)]));
  }
  const EdgeOutputs none = EdgeCase(spec, graphs, {}).run();
  for (const float value : none.log_sum_exp) EXPECT_TRUE(std::isnan(value));
}

/// A grid of three blocks, where the entry points would have one for each piece of work.
EdgeLaunches narrow_launches() {
  using namespace kernels::cuda;  // NOLINT(google-build-using-namespace)
  using Traits = EdgeTraits<float, 32>;
  const auto with_grid = [](auto kernel, int threads, const auto& params) {
    expect_ok(
        launch(kernel, dim3(3), dim3(static_cast<unsigned>(threads)), 0, test_stream(), params));
  };
  return {
      .forward =
          [=](const ForwardParams& params) {
            with_grid(edge_forward_kernel<Traits>, Traits::kThreads,
                      EdgeForward{.call = params, .dropout = DropoutRule(0.0)});
          },
      .backward =
          [=](const BackwardParams& params) {
            with_grid(attention_delta_kernel<Traits>, kDeltaThreads, params);
            const EdgeBackward backward{.call = params,
                                        .dropout = DropoutRule(0.0),
                                        .estimator = EstimatorRule(params.estimator)};
            with_grid(edge_backward_kernel<EdgeBackwardTraits<float, 32, EdgeSide::kRows,
                                                              Estimator::kPaper, kManyClusters>>,
                      Traits::kThreads, backward);
            with_grid(edge_backward_kernel<EdgeBackwardTraits<float, 32, EdgeSide::kColumns,
                                                              Estimator::kPaper, kManyClusters>>,
                      Traits::kThreads, backward);
          }};
}

// More pieces of work than blocks: which block takes one changes no bit.
TEST(AttentionEdgesWork, GoesRoundMorePiecesThanBlocks) {
  EdgeCaseSpec spec;
  spec.batch = 2;
  spec.heads = 2;
  spec.queries = 70;
  spec.keys = 70;
  std::mt19937_64 generator(8);
  const GraphSpec graph = random_graph(spec, 0.1, 2, generator);
  const EdgeCase problem(spec, make_graphs(spec, graph, generator), all_graphs(spec));
  const EdgeOutputs outputs = problem.run(narrow_launches());
  problem.expect_near_reference(outputs, all_graphs(spec));
  EXPECT_TRUE(outputs.all() == problem.run().all());
  kernels::AttentionShape shape;
  shape.batch = 100;
  shape.heads = 100;
  EXPECT_EQ(kernels::cuda::edge_blocks(shape, 33), 132 * 16);
  shape.batch = 1;
  EXPECT_EQ(kernels::cuda::edge_blocks(shape, 33), 200);
}

TEST(AttentionEdgesWork, TakesShapesWithoutTokens) {
  for (const auto& [queries, keys] : {std::pair{0, 5}, std::pair{5, 0}, std::pair{0, 0}}) {
    EdgeCaseSpec spec;
    spec.queries = queries;
    spec.keys = keys;
    std::mt19937_64 generator(9);
    GraphSpec graph;
    graph.is_edge = [](std::int64_t, std::int64_t) { return false; };
    EdgeCase(spec, make_graphs(spec, graph, generator), all_graphs(spec)).check();
  }
}

// A NaN must reach the loss, not vanish in a maximum or a clip.
TEST(AttentionEdgesWork, LetsNanThrough) {
  EdgeCaseSpec spec;
  spec.queries = 3;
  spec.keys = 3;
  spec.estimator = Estimator::kReference;
  spec.score_nan = true;
  std::mt19937_64 generator(10);
  GraphSpec graph;
  graph.is_edge = [](std::int64_t, std::int64_t) { return true; };
  const EdgeOutputs outputs =
      EdgeCase(spec, make_graphs(spec, graph, generator), all_graphs(spec)).run();
  for (const float value : outputs.log_sum_exp) EXPECT_TRUE(std::isnan(value));
  for (const float value : outputs.query_product) EXPECT_TRUE(std::isnan(value));
}

/// Graphs of the reference sampler.
std::vector<EdgeList> sampled_graphs(const EdgeCaseSpec& spec, kernels::MaskLaw law,
                                     kernels::SelfLoops self_loops, std::mt19937_64& generator) {
  std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
  const auto draw = [&](std::int64_t count, float scale) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = scale * uniform(generator);
    return values;
  };
  const std::int64_t graph_count = spec.batch * spec.heads;
  const std::vector<float> query = draw(graph_count * spec.queries * spec.clusters, 1.0F);
  const std::vector<float> key = draw(graph_count * spec.keys * spec.clusters, 1.0F);
  const auto clusters = static_cast<float>(spec.clusters);
  const std::vector<float> block =
      draw(spec.heads * spec.clusters * spec.clusters, 2.0F / (clusters * clusters));
  std::vector<std::uint8_t> query_valid(static_cast<std::size_t>(spec.batch * spec.queries), 1);
  std::vector<std::uint8_t> key_valid(static_cast<std::size_t>(spec.batch * spec.keys), 1);
  query_valid.back() = 0;
  key_valid.back() = 0;
  std::vector<PhiloxKey> keys(static_cast<std::size_t>(2 * graph_count));
  for (PhiloxKey& stream : keys) stream = generator();
  const kernels::SamplingParams params{.batch = spec.batch,
                                       .heads = spec.heads,
                                       .queries = spec.queries,
                                       .keys = spec.keys,
                                       .clusters = spec.clusters,
                                       .query_membership = query.data(),
                                       .key_membership = key.data(),
                                       .block_matrix = block.data(),
                                       .query_valid = query_valid.data(),
                                       .key_valid = key_valid.data(),
                                       .mask_keys = keys.data(),
                                       .probe_keys = keys.data() + graph_count,
                                       .law = law,
                                       .self_loops = self_loops,
                                       .exploration = 0.01,
                                       .probe_rate = spec.probe_rate};
  std::vector<EdgeList> graphs(static_cast<std::size_t>(graph_count));
  const kernels::Status status = kernels::reference::sample_edges(params, graphs);
  EXPECT_TRUE(status.ok()) << status.message();
  return graphs;
}

// Both laws and every kind of diagonal, with padding.
TEST(AttentionEdgesSampled, MatchesTheReferenceOnDrawnGraphs) {
  using kernels::MaskLaw;
  using kernels::SelfLoops;
  for (const MaskLaw law : {MaskLaw::kBernoulli, MaskLaw::kPoisson}) {
    for (const SelfLoops self_loops : {SelfLoops::kAdd, SelfLoops::kRemove, SelfLoops::kNone}) {
      EdgeCaseSpec spec;
      spec.batch = 2;
      spec.queries = 40;
      spec.keys = 40;
      spec.clusters = 4;
      spec.estimator = Estimator::kTrapezoid;
      std::mt19937_64 generator(11);
      EdgeCase(spec, sampled_graphs(spec, law, self_loops, generator), all_graphs(spec))
          .check_briefly();
    }
  }
}

}  // namespace
}  // namespace sbm::cuda_host
