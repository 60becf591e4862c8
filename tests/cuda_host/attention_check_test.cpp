#include "kernels/cuda/attention_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

// Parameters that contradict one another are refused, with what was expected and found.
namespace sbm::kernels::cuda {
namespace {

/// Sound parameters; nothing reads what they point to.
class AttentionCheck : public testing::Test {
 protected:
  AttentionCheck() {
    forward_.shape = {.batch = 2,
                      .heads = 3,
                      .queries = 5,
                      .keys = 7,
                      .head_dim = 32,
                      .clusters = 4,
                      .scale = 0.2F,
                      .path = AttentionPath::kAuto,
                      .dropout = 0.1,
                      .dropout_keys = &key_};
    const HeadTensor<const void> input = {memory_.data(), 15 * 32, 5 * 32, 32};
    const HeadTensor<void> output = {memory_.data(), 15 * 32, 5 * 32, 32};
    forward_.query = forward_.key = forward_.value = input;
    forward_.output = output;
    forward_.log_sum_exp = memory_.data();
    const CellList cells = {.offsets = words_.data(),
                            .others = halves_.data(),
                            .gates = memory_.data(),
                            .probabilities = memory_.data(),
                            .capacity = 9};
    forward_.edges.work = {words_.data(), words_.data()};
    forward_.edges.rows = forward_.edges.columns = cells;
    forward_.edges.probe_rows = forward_.edges.probe_columns = cells;
    forward_.dense.work = {words_.data(), words_.data()};
    forward_.dense.mask = forward_.dense.probe_mask = mask_.data();
    forward_.dense.law.weights = forward_.dense.law.key_entries = &entry_;
    forward_.dense.law.row_exponents = &exponent_;
    forward_.dense.law.key_exponents = &key_exponent_;

    backward_.shape = forward_.shape;
    backward_.estimator = {.estimator = Estimator::kTrapezoid,
                           .clip = 1.0F,
                           .density_gradient = nullptr,
                           .probe_rate = 0.5};
    backward_.query = backward_.key = backward_.value = backward_.output = input;
    backward_.grad_output = input;
    backward_.edges = forward_.edges;
    backward_.dense = forward_.dense;
    backward_.grad_query = backward_.grad_key = backward_.grad_value = output;
    backward_.log_sum_exp = memory_.data();
    backward_.query_membership = backward_.key_membership = memory_.data();
    backward_.query_product = backward_.key_product = backward_.delta = memory_.data();
    backward_.dense_workspace = memory_.data();
  }

  void expect_forward_refused(const std::function<void(ForwardParams&)>& change,
                              const std::string& message) const {
    ForwardParams params = forward_;
    change(params);
    EXPECT_THAT(attention_forward(params, nullptr).message(), testing::HasSubstr(message));
  }
  void expect_backward_refused(const std::function<void(BackwardParams&)>& change,
                               const std::string& message) const {
    BackwardParams params = backward_;
    change(params);
    EXPECT_THAT(attention_backward(params, nullptr).message(), testing::HasSubstr(message));
  }

  alignas(16) std::array<float, 8> memory_ = {};
  std::array<std::uint32_t, 2> words_ = {};
  std::array<std::uint16_t, 2> halves_ = {};
  alignas(16) std::array<std::uint64_t, 2> mask_ = {};
  alignas(16) EntryBytes entry_ = {};
  std::int32_t exponent_ = 0;
  std::uint8_t key_exponent_ = 0;
  PhiloxKey key_ = 0;
  ForwardParams forward_;
  BackwardParams backward_;
};

TEST_F(AttentionCheck, TakesSoundParameters) {
  EXPECT_TRUE(check(forward_).ok()) << check(forward_).message();
  EXPECT_TRUE(check(backward_).ok()) << check(backward_).message();
  // One path alone, no probes, and no graph at all.
  backward_.edges = {};
  EXPECT_TRUE(check(backward_).ok()) << check(backward_).message();
  backward_.edges = forward_.edges;
  backward_.edges.probe_rows = backward_.edges.probe_columns = {};
  backward_.dense = {};
  EXPECT_TRUE(check(backward_).ok()) << check(backward_).message();
  ForwardParams empty;
  empty.shape.head_dim = 64;
  EXPECT_TRUE(attention_forward(empty, nullptr).ok());
}

TEST_F(AttentionCheck, RefusesShapes) {
  const auto refused = [&](const auto& change, const std::string& message) {
    expect_forward_refused([&](ForwardParams& params) { change(params.shape); },
                           "attention_forward: " + message);
    expect_backward_refused([&](BackwardParams& params) { change(params.shape); },
                            "attention_backward: " + message);
  };
  using Shape = AttentionShape;
  refused([](Shape& shape) { shape.batch = -1; }, "batch: expected 0 to 2147483647, found -1");
  refused([](Shape& shape) { shape.heads = -2; }, "heads: expected 0 to 2147483647, found -2");
  refused([](Shape& shape) { shape.queries = 65537; }, "queries: expected 0 to 65536, found 65537");
  refused([](Shape& shape) { shape.keys = -1; }, "keys: expected 0 to 65536, found -1");
  refused([](Shape& shape) { shape.head_dim = 48; }, "head_dim: expected 32, 64 or 128, found 48");
  refused([](Shape& shape) { shape.scale = std::numeric_limits<float>::infinity(); },
          "scale: expected a finite number, found inf");
  refused([](Shape& shape) { shape.dropout = 1.0; }, "dropout: expected 0 or more");
  refused([](Shape& shape) { shape.dropout = std::nan(""); }, "dropout: expected 0 or more");
  refused([](Shape& shape) { shape.dropout_keys = nullptr; },
          "dropout_keys: expected a pointer, found null");
  refused([](Shape& shape) { shape.batch = shape.heads = 2000; },
          "batch x heads: expected 0 to 1048575, found 4000000");
  expect_forward_refused([](ForwardParams& params) { params.precision = Precision{2}; },
                         "precision: expected 0 to 1, found 2");
  expect_backward_refused([](BackwardParams& params) { params.shape.clusters = 257; },
                          "clusters: expected 1 to 256, found 257");
}

TEST_F(AttentionCheck, RefusesTensors) {
  expect_forward_refused([](ForwardParams& params) { params.key.data = nullptr; },
                         "key: expected a pointer, found null");
  expect_forward_refused([&](ForwardParams& params) { params.value.data = memory_.data() + 1; },
                         "value: expected an address that is a multiple of 16, found 4 beyond one");
  expect_forward_refused([](ForwardParams& params) { params.output.token_stride = 33; },
                         "output.token_stride: expected a multiple of 4, found 33");
  expect_forward_refused(
      [](ForwardParams& params) {
        params.precision = Precision::kBfloat16;
        params.query.head_stride = 36;
      },
      "query.head_stride: expected a multiple of 8, found 36");
  expect_forward_refused([](ForwardParams& params) { params.query.token_stride = 1LL << 31; },
                         "query.token_stride: expected -2147483647 to 2147483647");
  expect_forward_refused([](ForwardParams& params) { params.log_sum_exp = nullptr; },
                         "log_sum_exp: expected a pointer, found null");
  expect_backward_refused([](BackwardParams& params) { params.grad_key.data = nullptr; },
                          "grad_key: expected a pointer, found null");
  expect_backward_refused([&](BackwardParams& params) { params.key_product = &memory_[2]; },
                          "key_product: expected an address that is a multiple of 16");
  expect_backward_refused([](BackwardParams& params) { params.delta = nullptr; },
                          "delta: expected a pointer, found null");
}

TEST_F(AttentionCheck, RefusesGraphs) {
  expect_forward_refused(
      [](ForwardParams& params) {
        params.edges = {};
        params.dense = {};
      },
      "edges.work and dense.work: expected one of them at least, found null");
  expect_forward_refused([](ForwardParams& params) { params.edges.work.count = nullptr; },
                         "edges.work.count: expected a pointer, found null");
  expect_forward_refused([](ForwardParams& params) { params.edges.rows.offsets = nullptr; },
                         "edges.rows.offsets: expected a pointer, found null");
  expect_forward_refused([](ForwardParams& params) { params.edges.rows.capacity = -1; },
                         "edges.rows.capacity: expected 0 to 4294967295, found -1");
  expect_forward_refused([](ForwardParams& params) { params.dense.mask = nullptr; },
                         "dense.mask: expected a pointer, found null");
  expect_forward_refused([&](ForwardParams& params) { params.dense.mask = &mask_[1]; },
                         "dense.mask: expected an address that is a multiple of 16, found 8");
  expect_backward_refused(
      [](BackwardParams& params) {
        params.shape.keys = 0;
        params.dense_workspace = nullptr;
      },
      "dense_workspace: expected a pointer, found null");
  expect_backward_refused([](BackwardParams& params) { params.edges.columns.others = nullptr; },
                          "edges.columns.others: expected a pointer, found null");
  expect_backward_refused(
      [](BackwardParams& params) { params.edges.columns.probabilities = nullptr; },
      "edges.columns.probabilities (TRAPEZOID needs q): expected a pointer, found null");
  expect_backward_refused([](BackwardParams& params) { params.edges.columns.gates = nullptr; },
                          "edges.columns.gates: expected a pointer, found null");
  expect_backward_refused([](BackwardParams& params) { params.edges.probe_columns = {}; },
                          "edges.probe_columns.offsets: expected a pointer, found null");
  expect_backward_refused([](BackwardParams& params) { params.dense_workspace = nullptr; },
                          "dense_workspace: expected a pointer, found null");
  expect_backward_refused([](BackwardParams& params) { params.dense.law.key_entries = nullptr; },
                          "dense.law.key_entries: expected a pointer, found null");
  expect_backward_refused([](BackwardParams& params) { params.dense.probe_mask = nullptr; },
                          "dense.probe_mask: expected a pointer, found null");
}

TEST_F(AttentionCheck, RefusesEstimators) {
  expect_backward_refused([](BackwardParams& params) { params.estimator.estimator = Estimator{3}; },
                          "estimator: expected 0 to 2, found 3");
  expect_backward_refused([](BackwardParams& params) { params.estimator.clip = -1.0F; },
                          "clip: expected 0 or more, found -1");
  expect_backward_refused([](BackwardParams& params) { params.estimator.probe_rate = 1.5; },
                          "probe_rate: expected 0 to 1, found 1.5");
  expect_backward_refused([](BackwardParams& params) { params.estimator.probe_rate = 0.0; },
                          "probe_rate: expected more than 0 where there are probes, found 0");
}

}  // namespace
}  // namespace sbm::kernels::cuda
