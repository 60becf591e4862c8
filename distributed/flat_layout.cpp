#include "distributed/flat_layout.h"

#include <set>
#include <utility>

#include "base/checked.h"
#include "base/error.h"

namespace sbm::distributed {
namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

std::int64_t element_count(const ParameterSpec& spec) {
  std::int64_t count = 1;
  for (const std::int64_t extent : spec.shape) {
    if (extent < 0) {
      throw InternalError("parameter " + spec.name + " has the shape " + shape_text(spec.shape) +
                          ": expected extents of at least 0");
    }
    const auto product = checked_multiply(count, extent);
    if (!product) {
      throw InternalError("parameter " + spec.name + " of the shape " + shape_text(spec.shape) +
                          " has more elements than 64 bits can count");
    }
    count = *product;
  }
  return count;
}

/// offset + count, rounded up to `quantum`; such that even the byte count fits 64 bits.
std::int64_t advance(std::int64_t offset, std::int64_t count, std::int64_t quantum,
                     const std::string& what) {
  const auto end = checked_add(offset, count);
  const auto padded = end ? checked_add(*end, quantum - 1) : std::nullopt;
  if (!padded || !checked_multiply<std::int64_t>(*padded, sizeof(float))) {
    throw InternalError("the flat buffer overflows 64 bits at " + what);
  }
  return round_up(*end, quantum);
}

}  // namespace

FlatLayout::FlatLayout(std::vector<ParameterSpec> parameters) {
  std::set<std::string> names;
  entries_.reserve(parameters.size());
  std::int64_t offset = 0;
  for (ParameterSpec& spec : parameters) {
    if (!names.insert(spec.name).second) {
      throw InternalError("two parameters have the name " + spec.name);
    }
    const std::int64_t count = element_count(spec);
    const std::int64_t next = advance(offset, count, kAlignment, spec.name);
    parameter_count_ += count;
    entries_.push_back({std::move(spec), {offset, offset + count}});
    offset = next;
  }
  size_ = advance(offset, 0, kChunk, "its end");
}

ElementRange FlatLayout::shard(int rank, int world_size) const {
  const ElementRange chunks = even_part(size_ / kChunk, rank, world_size);
  return {chunks.begin * kChunk, chunks.end * kChunk};
}

}  // namespace sbm::distributed
