#include "trainer/batch_tensors.h"

#include <ATen/ATen.h>

#include <vector>

#include "base/error.h"

namespace sbm::trainer {
namespace {

// from_blob wants a mutable pointer although the copy that follows only reads.
template <typename T>
at::Tensor copied(const std::vector<T>& values, at::IntArrayRef shape, at::ScalarType from,
                  at::ScalarType to) {
  return at::from_blob(const_cast<T*>(values.data()), shape, from).to(to, false, /*copy=*/true);
}

}  // namespace

EncoderInput encoder_input(const data::Batch& batch) {
  const std::vector<std::int64_t> shape = {batch.size, batch.padded_length};
  EncoderInput input;
  input.tokens = copied(batch.tokens, shape, at::kInt, at::kLong);
  input.valid = copied(batch.valid, shape, at::kByte, at::kBool);
  if (!batch.first_lengths.empty()) {
    input.first_lengths = copied(batch.first_lengths, {batch.size}, at::kInt, at::kLong);
  }
  input.sample_ids = batch.sample_ids;
  input.granularity = batch.granularity;
  return input;
}

BatchTensors batch_tensors(const data::Batch& batch) {
  BatchTensors result;
  result.input = encoder_input(batch);
  if (!batch.labels.empty()) {
    result.targets = copied(batch.labels, {batch.size}, at::kInt, at::kLong);
  } else if (!batch.scores.empty()) {
    result.targets = copied(batch.scores, {batch.size}, at::kFloat, at::kFloat);
  } else if (!batch.token_labels.empty()) {
    result.targets =
        copied(batch.token_labels, {batch.size, batch.padded_length}, at::kInt, at::kLong);
  } else {
    throw InternalError("a batch without labels reached the model");
  }
  return result;
}

BatchTensors masked_tensors(const data::Batch& batch) {
  std::vector<std::int64_t> places;
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < batch.token_labels.size(); ++i) {
    if (batch.token_labels[i] < 0) continue;
    places.push_back(static_cast<std::int64_t>(i));
    ids.push_back(batch.token_labels[i]);
  }
  BatchTensors result;
  result.input = encoder_input(batch);
  result.input.places = copied(places, {std::ssize(places)}, at::kLong, at::kLong);
  result.targets = copied(ids, {std::ssize(ids)}, at::kInt, at::kLong);
  return result;
}

}  // namespace sbm::trainer
