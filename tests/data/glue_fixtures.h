#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "data/build.h"
#include "data/dataset.h"
#include "data/verify.h"
#include "tests/data/temporary_folder.h"
#include "tests/data/tiny_vocabulary.h"

namespace sbm::data {

/// A folder of official files under construction, with a small vocabulary, and what builds it.
class GlueFixture {
 public:
  explicit GlueFixture(std::string task) : task_(std::move(task)) {
    std::filesystem::create_directories(source());
    write_text(vocabulary(), tiny_vocabulary_text());
  }

  void put(const std::string& name, const std::string& text) const {
    write_text(source() / name, text);
  }

  [[nodiscard]] std::filesystem::path source() const { return folder_.path() / "source"; }
  [[nodiscard]] std::filesystem::path vocabulary() const { return folder_.path() / "vocab.txt"; }
  [[nodiscard]] std::filesystem::path out() const { return folder_.path() / "out"; }

  [[nodiscard]] BuildRequest request() const {
    BuildRequest request;
    request.task = task_;
    request.source = source();
    request.vocabulary = vocabulary();
    request.out = out();
    request.threads = 2;
    return request;
  }

 private:
  TemporaryFolder folder_;
  std::string task_;
};

/// Ids of the small vocabulary fit 8 bits.
using Ids = std::vector<std::uint8_t>;

/// What a data set of GLUE holds of a row.
struct GlueSample {
  Ids tokens;
  std::int32_t first_length = 0;
  std::int32_t label = -1;
  float score = 0;
  friend bool operator==(const GlueSample&, const GlueSample&) = default;
};

/// All samples of a split.
inline std::vector<GlueSample> samples(const std::filesystem::path& folder,
                                       const std::string& split) {
  const Dataset dataset = Dataset::open(folder, split);
  std::vector<GlueSample> all;
  for (std::uint64_t id = 0; id < dataset.size(); ++id) {
    const SampleView view = dataset.sample(id);
    all.push_back(
        {Ids(view.tokens8.begin(), view.tokens8.end()), view.first_length, view.label, view.score});
  }
  return all;
}

/// Builds, checks every byte, and returns the samples of a split.
inline std::vector<GlueSample> built(const GlueFixture& fixture, const std::string& split) {
  build_dataset(fixture.request());
  EXPECT_THAT(verify_dataset(fixture.out()).problems, ::testing::IsEmpty());
  return samples(fixture.out(), split);
}

// the 10, cat 12, sat 13, [CLS] 2, [SEP] 3
inline const Ids kThe = {2, 10, 3};
inline const Ids kTheCat = {2, 10, 3, 12, 3};
inline const Ids kCatSat = {2, 12, 3, 13, 3};

inline void put_mrpc(const GlueFixture& fixture) {
  const std::string header = "\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
  fixture.put("train.tsv", header + "1\t70\t71\tthe\tcat\n0\t80\t81\tcat\tsat\n");
  fixture.put("dev.tsv", header + "0\t1\t2\tthe\tcat\n");
  fixture.put("test.tsv",
              "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t5\t6\tthe\tcat\n1\t7\t8\tcat\tsat\n");
}

inline void put_qqp(const GlueFixture& fixture, const std::string& more_train = "") {
  const std::string header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n";
  fixture.put("train.tsv", header + "9\t1\t2\tthe\tcat\t1\n" + more_train);
  fixture.put("dev.tsv", header + "4\t1\t2\tcat\tsat\t0\n");
  fixture.put("test.tsv", "id\tquestion1\tquestion2\n0\tthe\tcat\n");
}

}  // namespace sbm::data
