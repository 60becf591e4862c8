#pragma once

#include <cstdint>
#include <span>

#include "base/content_hash.h"

namespace sbm::data {

/// Whether a sample with these contents belongs to the share (0 to 1) of the training samples that
/// is held out for validation. Keyed by the contents, not by the position: copies of one text are
/// never on both sides, and neither the order nor the layout of the files matters.
bool is_held_out(std::uint64_t seed, const ContentHash& contents, double share);

}  // namespace sbm::data
