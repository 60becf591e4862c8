#include "kernels/sampler_check.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

namespace sbm::kernels {
namespace {

constexpr std::int64_t kLargestTokens = (std::int64_t{1} << 31) - 64;
constexpr std::int64_t kLargestClusters = 256;

Status check_size(const char* name, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value >= least && value <= most) return {};
  return Status::invalid(std::string(name) + ": expected " + std::to_string(least) + " to " +
                         std::to_string(most) + ", found " + std::to_string(value));
}

Status check_fraction(const char* name, double value) {
  if (value >= 0.0 && value <= 1.0) return {};
  return Status::invalid(std::string(name) + ": expected a number in [0, 1], found " +
                         std::to_string(value));
}

Status check_pointer(const char* name, const void* pointer, bool needed) {
  if (pointer != nullptr || !needed) return {};
  return Status::invalid(std::string(name) + ": expected an array, found null");
}

std::string position(std::initializer_list<std::int64_t> indices) {
  std::string text = "[";
  for (const std::int64_t index : indices) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(index);
  }
  return text + "]";
}

Status check_memberships(const char* name, const float* values, const std::uint8_t* valid,
                         std::int64_t tokens, const SamplingParams& params) {
  for (std::int64_t batch = 0; batch < params.batch; ++batch) {
    for (std::int64_t head = 0; head < params.heads; ++head) {
      for (std::int64_t token = 0; token < tokens; ++token) {
        if (valid != nullptr && valid[batch * tokens + token] == 0) continue;
        const float* row =
            values + ((batch * params.heads + head) * tokens + token) * params.clusters;
        for (std::int64_t c = 0; c < params.clusters; ++c) {
          if (row[c] >= 0.0F && row[c] <= 1.0F) continue;
          return Status::invalid(std::string(name) + position({batch, head, token, c}) +
                                 ": expected a number in [0, 1], found " + std::to_string(row[c]));
        }
      }
    }
  }
  return {};
}

}  // namespace

Status check_sampling(const SamplingParams& params, std::size_t graphs) {
  constexpr std::int64_t kAny = std::numeric_limits<std::int32_t>::max();
  const bool has_graphs = params.batch > 0 && params.heads > 0;
  const bool has_queries = has_graphs && params.queries > 0;
  const bool has_keys = has_graphs && params.keys > 0;
  for (const Status& status :
       {check_size("batch", params.batch, 0, kAny), check_size("heads", params.heads, 0, kAny),
        check_size("queries", params.queries, 0, kLargestTokens),
        check_size("keys", params.keys, 0, kLargestTokens),
        check_size("clusters", params.clusters, 1, kLargestClusters),
        check_size("graphs", static_cast<std::int64_t>(graphs), params.batch * params.heads,
                   params.batch * params.heads),
        check_pointer("query_membership", params.query_membership, has_queries),
        check_pointer("key_membership", params.key_membership, has_keys),
        check_pointer("block_matrix", params.block_matrix, has_graphs),
        check_pointer("mask_keys", params.mask_keys, has_graphs),
        check_pointer("probe_keys", params.probe_keys, has_graphs && params.probe_rate > 0.0),
        check_fraction("exploration", params.exploration),
        check_fraction("probe_rate", params.probe_rate)}) {
    if (!status.ok()) return status;
  }
  return {};
}

Status check_block_matrix(const SamplingParams& params) {
  // Without graphs nothing reads the matrix, and the pointer may be null.
  if (params.batch == 0) return {};
  const std::int64_t entries = params.clusters * params.clusters;
  for (std::int64_t i = 0; i < params.heads * entries; ++i) {
    const float value = params.block_matrix[i];
    if (std::isfinite(value) && value >= 0.0F) continue;
    const std::int64_t entry = i % entries;
    return Status::invalid(
        "block_matrix" + position({i / entries, entry / params.clusters, entry % params.clusters}) +
        ": expected a finite number >= 0, found " + std::to_string(value));
  }
  return {};
}

Status check_sampling_values(const SamplingParams& params) {
  if (Status status = check_block_matrix(params); !status.ok()) return status;
  if (Status status = check_memberships("query_membership", params.query_membership,
                                        params.query_valid, params.queries, params);
      !status.ok()) {
    return status;
  }
  return check_memberships("key_membership", params.key_membership, params.key_valid, params.keys,
                           params);
}

}  // namespace sbm::kernels
