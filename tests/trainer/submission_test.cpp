#include "trainer/submission.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace sbm::trainer {
namespace {

TEST(Submission, HasTheServersNames) {
  EXPECT_EQ(submission_name("glue/cola", "test"), "CoLA.tsv");
  EXPECT_EQ(submission_name("glue/mnli", "test"), "MNLI-m.tsv");
  EXPECT_EQ(submission_name("glue/mnli", "test_mismatched"), "MNLI-mm.tsv");
  EXPECT_EQ(submission_name("glue/ax", "test"), "AX.tsv");
  EXPECT_THROW(static_cast<void>(submission_name("glue/cola", "validation")), ConfigError);
  EXPECT_THROW(static_cast<void>(submission_name("lra/text", "test")), ConfigError);
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
