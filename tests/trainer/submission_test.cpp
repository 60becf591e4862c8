#include "trainer/submission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "data/dataset_writer.h"
#include "tests/temporary_folder.h"

namespace sbm::trainer {
namespace {

TEST(Submission, HasTheServersNames) {
  EXPECT_EQ(submission_file("glue/cola", "test").name, "CoLA.tsv");
  EXPECT_EQ(submission_file("glue/mnli", "test").name, "MNLI-m.tsv");
  EXPECT_EQ(submission_file("glue/mnli", "test_mismatched").name, "MNLI-mm.tsv");
  EXPECT_EQ(submission_file("glue/ax", "test").name, "AX.tsv");
  EXPECT_THROW(static_cast<void>(submission_file("glue/cola", "validation")), ConfigError);
  EXPECT_THROW(static_cast<void>(submission_file("lra/text", "test")), ConfigError);
}

/// Data of MRPC with as many test samples, and with the skipped rows.
data::Dataset mrpc(const std::filesystem::path& folder, std::uint64_t samples, bool labelled,
                   const std::vector<data::SkippedRow>& skipped) {
  data::DatasetDescription description{.recipe = {.task = "glue/mrpc", .generator = "test"},
                                       .splits = {"test"},
                                       .label_kind = data::LabelKind::kClass,
                                       .label_names = {"0", "1"},
                                       .vocabulary_size = 300,
                                       .pairs = true};
  if (!labelled) description.unlabelled = {"test"};
  std::filesystem::create_directories(folder);
  data::DatasetWriter writer(folder, description);
  const std::vector<std::uint16_t> tokens = {1, 2};
  for (std::uint64_t i = 0; i < samples; ++i) {
    writer.add(0, {.tokens16 = tokens, .first_length = 1, .label = labelled ? 1 : -1});
  }
  writer.finish(skipped);
  return data::Dataset::open(folder, "test");
}

TEST(Submission, CountsTheRowsAndRefusesShiftedOnes) {
  const TemporaryFolder folder;
  const SubmissionFile& file = submission_file("glue/mrpc", "test");
  const std::vector<data::SkippedRow> in_test = {{"test.tsv", 7, "expected 5 fields"}};
  const std::vector<data::SkippedRow> in_train = {{"train.tsv", 7, "expected 5 fields"}};
  EXPECT_EQ(check_submission_rows(file, mrpc(folder.path() / "a", 1725, true, in_train)), "");
  EXPECT_THAT(check_submission_rows(file, mrpc(folder.path() / "b", 3, true, in_train)),
              testing::HasSubstr("MRPC.tsv: expected 1725 rows"));
  // Without labels a bad row keeps its place.
  EXPECT_EQ(check_submission_rows(file, mrpc(folder.path() / "c", 1725, false, in_test)), "");
  EXPECT_THAT(
      [&] { (void)check_submission_rows(file, mrpc(folder.path() / "d", 1724, true, in_test)); },
      testing::ThrowsMessage<DataError>(testing::HasSubstr("line 7 was skipped")));
  EXPECT_EQ(submission_files().size(), 11U);
}

TEST(Submission, WritesLabelsByNameAndScoresWithThreeDecimals) {
  EXPECT_EQ(submission_rows(R"({"sample":0,"prediction":"not_entailment","probabilities":[0,1]}
{"sample":1,"prediction":"entailment","probabilities":[1,0]}
)"),
            "0\tnot_entailment\n1\tentailment\n");
  EXPECT_EQ(submission_rows(R"({"sample":7,"prediction":3.14159}
{"sample":8,"prediction":4}
{"sample":9,"prediction":-1.5e-05}
{"sample":10,"prediction":5.2}
)"),
            "7\t3.142\n8\t4.000\n9\t0.000\n10\t5.000\n");
  EXPECT_EQ(submission_rows(""), "");
}

}  // namespace
}  // namespace sbm::trainer
