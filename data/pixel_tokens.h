#pragma once

#include <cstdint>

namespace sbm::data {

/// Images as tokens: id = grey value, 0 to 255, row by row. No id is left for padding and none is
/// needed: all images of a task have one length, and Batch::valid alone says what is padding, so
/// black (0) is a token like any other.
constexpr std::int32_t kPixelVocabulary = 256;

}  // namespace sbm::data
