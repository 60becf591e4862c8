#include "data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "tests/data/fixtures.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

class TrainingLoaderTest : public ::testing::Test {
 protected:
  TrainingPlan plan() const {
    return {.seed = 5,
            .global_batch = 12,
            .micro_batch = 3,
            .first_micro_batch = 0,
            .last_micro_batch = 4,
            .first_step = 0,
            .lengths = {.max_length = 16},
            .prefetch = 2};
  }

  TemporaryFolder folder_;
  Dataset dataset_ =
      (write_class_dataset(folder_.path(), 50, 0), Dataset::open(folder_.path(), "train"));
};

std::vector<std::uint64_t> ids_of_steps(const Dataset& dataset, const TrainingPlan& plan,
                                        int steps) {
  TrainingLoader loader(dataset, plan);
  std::vector<std::uint64_t> ids;
  for (std::int64_t i = 0; i < steps * (plan.last_micro_batch - plan.first_micro_batch); ++i) {
    const Batch batch = loader.next();
    EXPECT_EQ(batch.size, plan.micro_batch);
    EXPECT_LE(batch.padded_length, plan.lengths.max_length);
    ids.insert(ids.end(), batch.sample_ids.begin(), batch.sample_ids.end());
  }
  return ids;
}

TEST_F(TrainingLoaderTest, FollowsTheOrderOfTheRunAcrossEpochs) {
  const auto ids = ids_of_steps(dataset_, plan(), 20);  // 240 positions, nearly five epochs
  for (std::size_t position = 0; position < ids.size(); ++position) {
    ASSERT_EQ(ids[position], sample_at(5, 50, position));
  }
}

TEST_F(TrainingLoaderTest, GivesTheSameBatchAsCollate) {
  TrainingLoader loader(dataset_, plan());
  const Batch batch = loader.next();
  const Batch expected = collate(dataset_, batch.sample_ids, 16, 64);
  EXPECT_EQ(batch.tokens, expected.tokens);
  EXPECT_EQ(batch.valid, expected.valid);
  EXPECT_EQ(batch.labels, expected.labels);
  EXPECT_EQ(batch.lengths, expected.lengths);
}

TEST_F(TrainingLoaderTest, RanksShareAStepWithoutChangingIt) {
  const auto whole = ids_of_steps(dataset_, plan(), 6);
  for (const std::vector<std::int64_t>& cuts :
       {std::vector<std::int64_t>{0, 2, 4}, {0, 1, 2, 3, 4}, {0, 3, 4}}) {
    std::vector<std::uint64_t> together(whole.size());
    for (std::size_t rank = 0; rank + 1 < cuts.size(); ++rank) {
      TrainingPlan share = plan();
      share.first_micro_batch = cuts[rank];
      share.last_micro_batch = cuts[rank + 1];
      const auto ids = ids_of_steps(dataset_, share, 6);
      const std::size_t width = static_cast<std::size_t>(cuts[rank + 1] - cuts[rank]) * 3;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        together[i / width * 12 + static_cast<std::size_t>(cuts[rank]) * 3 + i % width] = ids[i];
      }
    }
    EXPECT_EQ(together, whole);
  }
}

// Steps 25 (300 positions) begins an epoch exactly; the others fall inside one.
TEST_F(TrainingLoaderTest, ResumesAnywhere) {
  const auto whole = ids_of_steps(dataset_, plan(), 40);
  for (const std::int64_t step : {0, 1, 4, 25, 37}) {
    TrainingPlan late = plan();
    late.first_step = step;
    const auto ids = ids_of_steps(dataset_, late, static_cast<int>(40 - step));
    EXPECT_EQ(ids, std::vector<std::uint64_t>(whole.begin() + step * 12, whole.end()));
  }
}

TEST_F(TrainingLoaderTest, ABatchMayHoldSeveralEpochs) {
  TrainingPlan large = plan();
  large.global_batch = 120;
  large.micro_batch = 120;
  large.last_micro_batch = 1;
  const auto ids = ids_of_steps(dataset_, large, 2);
  for (std::size_t position = 0; position < ids.size(); ++position) {
    ASSERT_EQ(ids[position], sample_at(5, 50, position));
  }
}

// 50 samples make four whole batches of 12 an epoch; which two are left out, each epoch draws anew.
TEST_F(TrainingLoaderTest, LeavesOutTheLastBatchWhereItIsToldTo) {
  TrainingPlan whole = plan();
  whole.drop_last = true;
  EXPECT_EQ(epoch_size(dataset_, 12, true), 48U);
  EXPECT_EQ(epoch_size(dataset_, 12, false), 50U);
  const auto ids = ids_of_steps(dataset_, whole, 8);
  for (std::size_t position = 0; position < ids.size(); ++position) {
    ASSERT_EQ(ids[position], sample_at(5, 50, position / 48 * 50 + position % 48));
  }
  whole.first_step = 3;  // a resumed run
  EXPECT_EQ(ids_of_steps(dataset_, whole, 5),
            std::vector<std::uint64_t>(ids.begin() + 36, ids.end()));
  whole.global_batch = 60;
  whole.micro_batch = 15;
  EXPECT_THROW(TrainingLoader(dataset_, whole), ConfigError);
}

// Whatever the micro-batches of a step are, each sample is masked by the epoch of its position, so
// also where a step straddles two epochs.
TEST_F(TrainingLoaderTest, MasksBySampleAndEpoch) {
  const std::filesystem::path folder = folder_.path() / "words";
  const Dataset words = (write_word_dataset(folder, 50), Dataset::open(folder, "train"));
  TrainingPlan masked = plan();
  masked.lengths.max_length = 40;
  masked.masking = MaskingRules{.share = 0.3};
  for (const std::int64_t first_step : {0, 7}) {
    masked.first_step = first_step;
    TrainingLoader loader(words, masked);
    for (std::int64_t step = first_step; step < 14; ++step) {
      std::vector<std::pair<std::uint64_t, std::vector<std::int32_t>>>
          expected;  // id, masked tokens
      for (auto position = static_cast<std::uint64_t>(12 * step); expected.size() < 12;
           ++position) {
        const std::uint64_t id = sample_at(5, 50, position);
        const auto stored = words.sample(id).tokens8;
        std::vector<std::int32_t> tokens(stored.begin(), stored.end());
        (void)mask_tokens(*masked.masking, *words.word_pieces(), 5, position / 50, id, tokens);
        expected.emplace_back(id, tokens);
      }
      for (int i = 0; i < 4; ++i) {
        const Batch batch = loader.next();
        ASSERT_EQ(batch.token_labels.size(), batch.tokens.size());
        for (std::size_t row = 0; row < batch.sample_ids.size(); ++row) {
          const auto begin =
              batch.tokens.begin() + static_cast<std::ptrdiff_t>(row) * batch.padded_length;
          const std::pair found(batch.sample_ids[row],
                                std::vector<std::int32_t>(begin, begin + batch.lengths[row]));
          const auto place = std::ranges::find(expected, found);
          ASSERT_NE(place, expected.end()) << "step " << step << ", sample " << found.first;
          expected.erase(place);
        }
      }
    }
  }
  EXPECT_THROW(TrainingLoader(dataset_, masked), ConfigError);  // no word pieces
}

TEST_F(TrainingLoaderTest, EndsCleanlyAtAnyMoment) {
  for (int taken = 0; taken < 5; ++taken) {
    TrainingLoader loader(dataset_, plan());
    for (int i = 0; i < taken; ++i) (void)loader.next();
  }
}

TEST_F(TrainingLoaderTest, RefusesImpossiblePlans) {
  const auto refused = [this](auto change) {
    TrainingPlan bad = plan();
    change(bad);
    EXPECT_THROW(TrainingLoader(dataset_, bad), ConfigError);
  };
  refused([](TrainingPlan& p) { p.micro_batch = 0; });
  refused([](TrainingPlan& p) { p.micro_batch = 5; });
  refused([](TrainingPlan& p) { p.global_batch = 0; });
  refused([](TrainingPlan& p) { p.first_micro_batch = -1; });
  refused([](TrainingPlan& p) { p.first_micro_batch = 4; });
  refused([](TrainingPlan& p) { p.last_micro_batch = 5; });
  refused([](TrainingPlan& p) { p.first_step = -1; });
  refused([](TrainingPlan& p) { p.first_step = INT64_MAX; });
  refused([](TrainingPlan& p) { p.lengths.max_length = 0; });
  refused([](TrainingPlan& p) { p.lengths.granularity = -1; });
  refused([](TrainingPlan& p) { p.lengths.part_length = -1; });
  refused([](TrainingPlan& p) { p.prefetch = 0; });
  const Dataset empty = Dataset::open(folder_.path(), "test");
  EXPECT_THROW(TrainingLoader(empty, plan()), ConfigError);
}

TEST_F(TrainingLoaderTest, ForwardsWhatThePreparingThreadMeets) {
  const std::filesystem::path folder = folder_.path() / "damaged";
  write_class_dataset(folder, 50, 0);
  const Dataset dataset = Dataset::open(folder, "train");
  // The file changes after it was opened, before its block was touched.
  std::vector<std::uint8_t> bytes = read_bytes(folder / "train/shard-00000.sbm");
  put_byte(folder / "train/shard-00000.sbm", 4096 + 17,
           static_cast<std::uint8_t>(bytes[4096 + 17] ^ 1));
  TrainingLoader loader(dataset, plan());
  EXPECT_THAT([&] { (void)loader.next(); },
              ::testing::ThrowsMessage<DataError>(::testing::HasSubstr("shard-00000.sbm")));
  EXPECT_THROW((void)loader.next(), DataError);
}

}  // namespace
}  // namespace sbm::data
