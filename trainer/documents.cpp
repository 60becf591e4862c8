#include "trainer/documents.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "data/length_buckets.h"

namespace sbm::trainer {

void require_first_lengths(const EncoderInput& input) {
  const at::Tensor& lengths = input.first_lengths;
  const auto batch = static_cast<std::int64_t>(input.sample_ids.size());
  if (!lengths.defined() || lengths.scalar_type() != at::kLong || lengths.dim() != 1 ||
      lengths.size(0) != batch) {
    throw InternalError(
        "encoder input: expected first_lengths int64 [batch] for samples of two "
        "parts");
  }
}

Documents split_documents(const EncoderInput& pairs, std::int64_t max_length) {
  require_first_lengths(pairs);
  const at::Tensor& first = pairs.first_lengths;
  const at::Tensor second = pairs.valid.sum(1) - first;
  const at::Tensor starts = at::stack({at::zeros_like(first), first}, 1).unsqueeze(2);
  const at::Tensor lengths = at::stack({first, second}, 1).clamp_max(max_length).unsqueeze(2);
  if (lengths.min().item<std::int64_t>() < 1) {
    throw InternalError("encoder input: expected two documents a sample, found an empty one");
  }
  const std::int64_t longest = lengths.max().item<std::int64_t>();
  const std::int64_t padded = std::min(data::bucket_edge(longest, pairs.granularity), max_length);
  const at::Tensor places = at::arange(padded, first.options());
  const std::int64_t last = pairs.tokens.size(1) - 1;
  const at::Tensor valid = places.lt(lengths);
  const at::Tensor tokens =
      pairs.tokens.unsqueeze(1).expand({-1, 2, -1}).gather(2, (starts + places).clamp_max(last));

  Documents documents;
  documents.input = pairs;
  documents.input.tokens = at::where(valid, tokens, 0).flatten(0, 1);
  documents.input.valid = valid.flatten(0, 1);
  documents.input.first_lengths = at::Tensor();
  for (const std::uint64_t id : pairs.sample_ids) {
    for (const std::uint32_t sequence : {0U, 1U}) {
      documents.sample_ids.push_back(id);
      documents.sequences.push_back(sequence);
    }
  }
  documents.input.sample_ids = documents.sample_ids;
  documents.input.sequences = documents.sequences;
  return documents;
}

EncoderInput first_row(const EncoderInput& input) {
  EncoderInput row = input;
  const std::int64_t tokens = input.valid[0].sum().item<std::int64_t>();
  row.tokens = input.tokens.narrow(0, 0, 1).narrow(1, 0, tokens);
  row.valid = input.valid.narrow(0, 0, 1).narrow(1, 0, tokens);
  row.sample_ids = input.sample_ids.first(1);
  if (!input.sequences.empty()) row.sequences = input.sequences.first(1);
  return row;
}

}  // namespace sbm::trainer
