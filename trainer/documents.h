#pragma once

#include <cstdint>
#include <vector>

#include "trainer/encoder_input.h"

namespace sbm::trainer {

/// The two parts of each sample as sequences of their own; or, with empty lists, samples of one.
struct Documents {
  std::vector<std::uint64_t> sample_ids;
  std::vector<std::uint32_t> sequences;
  EncoderInput input;  ///< its ids lie in the lists above: it may be moved with them, not copied
};

/// Throws InternalError unless `input` says, for each sample, how long its first part is.
void require_first_lengths(const EncoderInput& input);

/// Rows 2 i and 2 i + 1 are the parts of sample i, each cut to `max_length` tokens and padded like
/// a batch of its own; as sequences 0 and 1 of the sample they have everything random apart. Throws
/// InternalError when a sample lacks a part.
Documents split_documents(const EncoderInput& pairs, std::int64_t max_length);

/// The first sequence of a batch without its padding; the ids stay where they are.
EncoderInput first_row(const EncoderInput& input);

}  // namespace sbm::trainer
