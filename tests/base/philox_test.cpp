#include "base/philox.h"

#include <gtest/gtest.h>

#include "base/random_stream.h"

namespace sbm {
namespace {

// Known answers of Random123's kat_vectors file (Salmon et al.), philox4x32 with 7 and 10 rounds.
TEST(Philox, KnownAnswersOfRandom123) {
  EXPECT_EQ((philox4x32<10>({0, 0, 0, 0}, 0)),
            (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ((philox4x32<10>({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff)),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ((philox4x32<10>({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822)),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
  EXPECT_EQ((philox4x32<7>({0, 0, 0, 0}, 0)),
            (PhiloxBlock{0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48}));
}

TEST(StreamKey, EveryFieldMatters) {
  const StreamId base{.purpose = StreamPurpose::kMask};
  const PhiloxKey key = stream_key(1, base);
  StreamId other = base;
  EXPECT_NE(stream_key(2, base), key);
  other.purpose = StreamPurpose::kProbe;
  EXPECT_NE(stream_key(1, other), key);
  for (auto change :
       {+[](StreamId& id) { id.step = 1ULL << 40; }, +[](StreamId& id) { id.draw = 1; },
        +[](StreamId& id) { id.sample = 1ULL << 33; }, +[](StreamId& id) { id.sequence = 1; },
        +[](StreamId& id) { id.layer = 1; }, +[](StreamId& id) { id.head = 1; },
        +[](StreamId& id) { id.site = 1; }}) {
    other = base;
    change(other);
    EXPECT_NE(stream_key(1, other), key);
  }
}

// The hash is part of every checkpoint's meaning: a change of these bits is a new contract.
TEST(StreamKey, GoldenValue) {
  constexpr PhiloxKey kKey = stream_key(
      42, {.purpose = StreamPurpose::kMask, .step = 7, .sample = 11, .layer = 1, .head = 3});
  EXPECT_EQ(kKey, 0x939d6eba535139eeULL);
}

}  // namespace
}  // namespace sbm
