#include "distributed/lasting_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "distributed/aligned_buffer.h"

namespace sbm::distributed {
namespace {

constexpr std::size_t kSize = 1000;

// Ends the process: with 0 when nothing that comes later was put where a dropped buffer was and the
// buffer, into which MPI may still write, is memory of this process with its last contents.
[[noreturn]] void drop_buffers_and_exit() {
  const float* of_vector = nullptr;
  const float* of_buffer = nullptr;
  keep_lasting_memory();
  {
    const LastingVector<float> vector(kSize, 7.0F);
    const AlignedBuffer buffer(kSize);
    std::fill_n(buffer.data(), kSize, 7.0F);
    of_vector = vector.data();
    of_buffer = buffer.data();
  }
  for (int i = 0; i < 100; ++i) {
    const LastingVector<float> later(kSize, 1.0F);
    const AlignedBuffer also_later(kSize);
    if (later.data() == of_vector || also_later.data() == of_buffer) std::_Exit(1);
  }
  const auto is_seven = [](float value) { return value == 7.0F; };
  std::_Exit(std::all_of(of_vector, of_vector + kSize, is_seven) &&
                     std::all_of(of_buffer, of_buffer + kSize, is_seven)
                 ? 0
                 : 1);
}

TEST(LastingMemory, OutlivesItsOwnerOnceAnOperationIsGivenUp) {
  EXPECT_EXIT(drop_buffers_and_exit(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sbm::distributed
