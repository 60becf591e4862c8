#include "data/permutation.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/random_stream.h"
#include "data/loader.h"
#include "tests/data/statistics.h"

namespace sbm::data {
namespace {

PhiloxKey epoch_key(std::uint64_t epoch) {
  return stream_key(7, {.purpose = StreamPurpose::kDataOrder, .step = epoch});
}

TEST(Permutation, IsABijectionOfAnySize) {
  std::vector<std::uint64_t> sizes = {1000, 4095, 4096, 4097, 65535, 65537, 96000};
  for (std::uint64_t size = 1; size <= 300; ++size) sizes.push_back(size);
  for (const std::uint64_t size : sizes) {
    const Permutation permutation(epoch_key(size), size);
    std::vector<bool> seen(size);
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t image = permutation(i);
      ASSERT_LT(image, size);
      ASSERT_FALSE(seen[image]) << "size " << size << ", image " << image << " twice";
      seen[image] = true;
    }
  }
}

TEST(Permutation, StaysInsideHugeSizes) {
  for (const std::uint64_t size :
       {(std::uint64_t{1} << 32) + 1, (std::uint64_t{1} << 40) - 1, std::uint64_t{1} << 63,
        (std::uint64_t{1} << 63) + 1, ~std::uint64_t{0}}) {
    const Permutation permutation(epoch_key(1), size);
    std::set<std::uint64_t> images;
    for (std::uint64_t i = 0; i < 2000; ++i) {
      const std::uint64_t position = i % 2 == 0 ? i : size - i;
      const std::uint64_t image = permutation(position);
      ASSERT_LT(image, size);
      images.insert(image);
    }
    EXPECT_EQ(images.size(), 2000U);
  }
}

TEST(Permutation, RefusesWhatIsOutside) {
  EXPECT_THROW(Permutation(1, 0), InternalError);
  EXPECT_THROW((void)Permutation(1, 5)(5), InternalError);
}

// False-alarm rate of each comparison: 1e-6.
TEST(Permutation, EveryOrderOfAFewIsEquallyLikely) {
  for (const std::uint64_t size : {2U, 3U, 4U, 5U}) {
    std::map<std::vector<std::uint64_t>, double> counts;
    double orders = 1;
    for (std::uint64_t i = 2; i <= size; ++i) orders *= static_cast<double>(i);
    for (std::uint64_t epoch = 0; epoch < 15000; ++epoch) {
      const Permutation permutation(epoch_key(epoch), size);
      std::vector<std::uint64_t> order;
      for (std::uint64_t i = 0; i < size; ++i) order.push_back(permutation(i));
      counts[order] += 1;
    }
    ASSERT_EQ(static_cast<double>(counts.size()), orders);
    std::vector<double> values;
    for (const auto& [order, count] : counts) values.push_back(count);
    EXPECT_LT(uniform_z(values), kOneInAMillion) << "size " << size;
  }
}

// False-alarm rate of each comparison: 1e-6.
TEST(Permutation, PairsOfImagesAreUniform) {
  for (const std::uint64_t size : {6U, 7U, 16U, 17U, 33U}) {
    for (const std::uint64_t other : {std::uint64_t{1}, size - 1}) {
      std::vector<double> counts(size * size);
      for (std::uint64_t epoch = 0; epoch < 15000; ++epoch) {
        const Permutation permutation(epoch_key(epoch), size);
        counts[permutation(0) * size + permutation(other)] += 1;
      }
      std::vector<double> possible;
      for (std::uint64_t i = 0; i < counts.size(); ++i) {
        if (i / size != i % size) {
          possible.push_back(counts[i]);
        } else {
          ASSERT_EQ(counts[i], 0);
        }
      }
      EXPECT_LT(uniform_z(possible), kOneInAMillion) << size << ", positions 0 and " << other;
    }
  }
}

// Neighbours in the order are independent: 32 x 32 cells, false-alarm rate 1e-6.
TEST(Permutation, NeighboursInALongOrderAreIndependent) {
  constexpr std::uint64_t kSize = 48000;
  std::vector<double> counts(32 * 32);
  for (std::uint64_t i = 0; i + 1 < kSize; ++i) {
    const std::uint64_t a = sample_at(3, kSize, i) * 32 / kSize;
    const std::uint64_t b = sample_at(3, kSize, i + 1) * 32 / kSize;
    counts[a * 32 + b] += 1;
  }
  EXPECT_LT(uniform_z(counts), kOneInAMillion);
}

TEST(SampleAt, EveryEpochHoldsEverySampleOnceInItsOwnOrder) {
  constexpr std::uint64_t kSize = 101;
  std::set<std::vector<std::uint64_t>> orders;
  for (const std::uint64_t seed : {0U, 1U}) {
    for (std::uint64_t epoch = 0; epoch < 20; ++epoch) {
      std::vector<std::uint64_t> order;
      for (std::uint64_t i = 0; i < kSize; ++i) {
        order.push_back(sample_at(seed, kSize, epoch * kSize + i));
      }
      EXPECT_EQ(std::set<std::uint64_t>(order.begin(), order.end()).size(), kSize);
      orders.insert(order);
    }
  }
  EXPECT_EQ(orders.size(), 40U);
}

// The order of a run is a contract: a resumed run goes on in it. The numbers were computed by a
// second implementation, written in Python from the description.
TEST(SampleAt, OrderIsFixedForEver) {
  std::vector<std::uint64_t> order;
  for (std::uint64_t i = 0; i < 8; ++i) order.push_back(sample_at(42, 96000, i));
  for (std::uint64_t i = 0; i < 4; ++i) order.push_back(sample_at(42, 96000, 3 * 96000 + i));
  for (std::uint64_t i = 0; i < 4; ++i) order.push_back(sample_at(42, 5, i));
  EXPECT_EQ(order, (std::vector<std::uint64_t>{8256, 18836, 46005, 89815, 55984, 47763, 16316,
                                               27439, 39925, 71070, 90307, 57827, 4, 1, 3, 2}));
}

}  // namespace
}  // namespace sbm::data
