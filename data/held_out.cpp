#include "data/held_out.h"

#include <cmath>

#include "base/philox.h"
#include "base/random_stream.h"
#include "data/generation_streams.h"

namespace sbm::data {

bool is_held_out(std::uint64_t seed, const ContentHash& contents, double share) {
  const PhiloxKey key =
      stream_key(seed, {.purpose = StreamPurpose::kDataGeneration,
                        .sample = contents.low,
                        .site = static_cast<std::uint32_t>(GenerationSite::kHeldOut)});
  const PhiloxBlock words = philox4x32<10>({static_cast<std::uint32_t>(contents.high),
                                            static_cast<std::uint32_t>(contents.high >> 32), 0, 0},
                                           key);
  // 2^32 * share is exact enough: one word decides to within 2^-32.
  return static_cast<double>(words[0]) < std::ldexp(share, 32);
}

}  // namespace sbm::data
