// Every task of GLUE from small files in the official formats, written by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "data/dataset.h"
#include "data/inspect.h"
#include "tests/data/glue_fixtures.h"

namespace sbm::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Glue, CoLA) {
  const GlueFixture fixture("glue/cola");
  fixture.put("train.tsv", "gj04\t1\t\tthe\nks08\t0\t*\tcat \"sat\n");
  fixture.put("dev.tsv", "gj04\t1\t\tThe");  // no final newline
  fixture.put("test.tsv", "index\tsentence\n0\tthe\n1\tcat\n");
  EXPECT_EQ(built(fixture, "train"),
            (std::vector<GlueSample>{{kThe, 0, 1}, {{2, 12, 1, 13, 3}, 0, 0}}));
  EXPECT_EQ(samples(fixture.out(), "validation"), (std::vector<GlueSample>{{kThe, 0, 1}}));
  EXPECT_EQ(samples(fixture.out(), "test"), (std::vector<GlueSample>{{kThe}, {{2, 12, 3}}}));
  const Dataset test = Dataset::open(fixture.out(), "test");
  EXPECT_EQ(test.label_kind(), LabelKind::kNone);
  EXPECT_EQ(test.task_label_kind(), LabelKind::kClass);
  EXPECT_FALSE(test.pairs());
  EXPECT_THAT(test.label_names(), ElementsAre("0", "1"));
}

TEST(Glue, SST2) {
  const GlueFixture fixture("glue/sst-2");
  fixture.put("train.tsv", "sentence\tlabel\nthe cat \t1\nsat \t0\n");
  fixture.put("dev.tsv", "sentence\tlabel\r\nthe \t0\r\n");
  fixture.put("test.tsv", "index\tsentence\n0\tthe\n");
  EXPECT_EQ(built(fixture, "train"),
            (std::vector<GlueSample>{{{2, 10, 12, 3}, 0, 1}, {{2, 13, 3}, 0, 0}}));
  EXPECT_EQ(samples(fixture.out(), "validation"), (std::vector<GlueSample>{{kThe, 0, 0}}));
  EXPECT_EQ(samples(fixture.out(), "test"), (std::vector<GlueSample>{{kThe}}));
}

TEST(Glue, MRPC) {
  const GlueFixture fixture("glue/mrpc");
  put_mrpc(fixture);
  EXPECT_EQ(built(fixture, "train"), (std::vector<GlueSample>{{kTheCat, 3, 1}, {kCatSat, 3, 0}}));
  EXPECT_EQ(samples(fixture.out(), "validation"), (std::vector<GlueSample>{{kTheCat, 3, 0}}));
  EXPECT_EQ(samples(fixture.out(), "test"), (std::vector<GlueSample>{{kTheCat, 3}, {kCatSat, 3}}));
  EXPECT_TRUE(Dataset::open(fixture.out(), "test").pairs());
}

TEST(Glue, MRPCTestHasLabelsWhereTheOriginalIsAtHand) {
  const GlueFixture fixture("glue/mrpc");
  put_mrpc(fixture);
  // In another order, with other texts: the ids count.
  fixture.put("msr_paraphrase_test.txt",
              "\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
              "0\t7\t8\tx\tx\r\n1\t5\t6\tx\tx");
  EXPECT_EQ(built(fixture, "test"), (std::vector<GlueSample>{{kTheCat, 3, 1}, {kCatSat, 3, 0}}));
  EXPECT_EQ(Dataset::open(fixture.out(), "test").label_kind(), LabelKind::kClass);
}

TEST(Glue, MRPCMissesALabel) {
  const GlueFixture fixture("glue/mrpc");
  put_mrpc(fixture);
  fixture.put("msr_paraphrase_test.txt",
              "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
              "0\t7\t8\tx\tx\n");
  EXPECT_THAT(
      [&] { build_dataset(fixture.request()); },
      ThrowsMessage<DataError>(AllOf(HasSubstr("test.tsv:2:"), HasSubstr("\"5\" and \"6\""))));
  fixture.put("msr_paraphrase_test.txt",
              "Quality\t#1 ID\t#2 ID\t#2 String\t#1 String\n0\t7\t8\tx\tx\n1\t5\t6\tx\tx\n");
  EXPECT_THAT(
      [&] { build_dataset(fixture.request()); },
      ThrowsMessage<DataError>(HasSubstr("test.txt:1: expected the header \"Quality<TAB>")));
  fixture.put("msr_paraphrase_test.txt", "0\t7\t8\tx\tx\n");
  EXPECT_THAT([&] { build_dataset(fixture.request()); },
              ThrowsMessage<DataError>(HasSubstr(":1:")));
}

TEST(Glue, MRPCsLabelsContradictEachOther) {
  const GlueFixture fixture("glue/mrpc");
  put_mrpc(fixture);
  const std::string header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
  const auto put = [&](const std::string& rows) {
    fixture.put("msr_paraphrase_test.txt", header + rows);
  };
  put("0\t7\t8\tx\tx\n1\t5\t6\tx\tx\n1\t7\t8\tx\tx\n");
  EXPECT_THAT([&] { build_dataset(fixture.request()); },
              ThrowsMessage<DataError>(HasSubstr("test.txt:4: expected the label \"0\" that line 2 "
                                                 "gives the same ids, found \"1\"")));
  put("0\t7\t8\tx\tx\n");
  std::filesystem::resize_file(fixture.source() / "msr_paraphrase_test.txt", (16 << 20) + 1);
  EXPECT_THAT([&] { build_dataset(fixture.request()); },
              ThrowsMessage<DataError>(HasSubstr("at most 16777216 bytes, found 16777217")));
  // Said twice is not contradicted. A test row that cannot be labelled is left out.
  put("0\t7\t8\tx\tx\n0\t7\t8\ty\ty\n");
  BuildRequest request = fixture.request();
  request.skip_bad_rows = 1;
  EXPECT_EQ(build_dataset(request).skipped.size(), 1U);
  EXPECT_EQ(samples(fixture.out(), "test"), (std::vector<GlueSample>{{kCatSat, 3, 0}}));
}

TEST(Glue, QQP) {
  const GlueFixture fixture("glue/qqp");
  put_qqp(fixture);
  EXPECT_EQ(built(fixture, "train"), (std::vector<GlueSample>{{kTheCat, 3, 1}}));
  EXPECT_EQ(samples(fixture.out(), "validation"), (std::vector<GlueSample>{{kCatSat, 3, 0}}));
  EXPECT_EQ(samples(fixture.out(), "test"), (std::vector<GlueSample>{{kTheCat, 3}}));
}

TEST(Glue, STSB) {
  const GlueFixture fixture("glue/sts-b");
  const std::string columns =
      "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2";
  const std::string start = "\tnews\tMSRpar\t2012\t1\tnone\tnone\t";
  fixture.put("train.tsv", columns + "\tscore\n0" + start + "the\tcat\t3.800\n1" + start +
                               "cat\tsat\t0.0\n2" + start + "the\tcat\t5\n");
  fixture.put("dev.tsv", columns + "\tscore\n0" + start + "cat\tsat\t2.5\n");
  fixture.put("test.tsv", columns + "\n0" + start + "the\tcat\n");
  EXPECT_EQ(built(fixture, "train"),
            (std::vector<GlueSample>{
                {kTheCat, 3, -1, 3.8F}, {kCatSat, 3, -1, 0.0F}, {kTheCat, 3, -1, 5.0F}}));
  EXPECT_EQ(samples(fixture.out(), "validation"),
            (std::vector<GlueSample>{{kCatSat, 3, -1, 2.5F}}));
  EXPECT_EQ(samples(fixture.out(), "test"), (std::vector<GlueSample>{{kTheCat, 3}}));
  EXPECT_EQ(Dataset::open(fixture.out(), "train").label_kind(), LabelKind::kScore);
  for (const char* score : {"5.001", "-0.1", "nan", "inf", "", "3.8x", " 3.8", "1e400"}) {
    fixture.put("dev.tsv", columns + "\tscore\n0" + start + "cat\tsat\t" + score + "\n");
    BuildRequest request = fixture.request();
    request.out += "2";
    EXPECT_THAT([&] { build_dataset(request); },
                ThrowsMessage<DataError>(HasSubstr("dev.tsv:2: expected a score from 0 to 5")));
  }
}

TEST(Glue, MNLI) {
  const GlueFixture fixture("glue/mnli");
  const std::string columns =
      "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
      "sentence1_parse\tsentence2_parse\tsentence1\tsentence2";
  const std::string start = "\t3\t3n\tfiction\t( x )\t( x )\t(ROOT x)\t(ROOT x)\t";
  const std::string dev = "\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n0";
  fixture.put("train.tsv", columns + "\tlabel1\tgold_label\n0" + start +
                               "the\tcat\tneutral\tneutral\n1" + start +
                               "cat\tsat\tneutral\tentailment\n");
  fixture.put("dev_matched.tsv",
              columns + dev + start + "the\tcat\ta\tb\tc\td\te\tcontradiction\n");
  fixture.put("dev_mismatched.tsv", columns + dev + start + "cat\tsat\ta\tb\tc\td\te\tneutral\n");
  fixture.put("test_matched.tsv", columns + "\n0" + start + "the\tcat\n");
  fixture.put("test_mismatched.tsv",
              columns + "\n0" + start + "cat\tsat\n1" + start + "cat\tsat\n");
  EXPECT_EQ(built(fixture, "train"), (std::vector<GlueSample>{{kTheCat, 3, 2}, {kCatSat, 3, 1}}));
  EXPECT_EQ(samples(fixture.out(), "validation"), (std::vector<GlueSample>{{kTheCat, 3, 0}}));
  EXPECT_EQ(samples(fixture.out(), "validation_mismatched"),
            (std::vector<GlueSample>{{kCatSat, 3, 2}}));
  EXPECT_EQ(samples(fixture.out(), "test"), (std::vector<GlueSample>{{kTheCat, 3}}));
  EXPECT_EQ(samples(fixture.out(), "test_mismatched").size(), 2U);
  EXPECT_THAT(inspect_dataset(fixture.out()).label_names,
              ElementsAre("contradiction", "entailment", "neutral"));
}

TEST(Glue, QNLIRTEAndWNLI) {
  for (const auto& [task, a, b, yes, no] :
       {std::tuple{"glue/qnli", "question", "sentence", "entailment", "not_entailment"},
        std::tuple{"glue/rte", "sentence1", "sentence2", "entailment", "not_entailment"},
        std::tuple{"glue/wnli", "sentence1", "sentence2", "0", "1"}}) {
    const GlueFixture fixture(task);
    const std::string columns = std::string("index\t") + a + "\t" + b;
    fixture.put("train.tsv",
                columns + "\tlabel\n0\tthe\tcat\t" + no + "\n1\tcat\tsat\t" + yes + "\n");
    fixture.put("dev.tsv", columns + "\tlabel\n0\tcat\tsat\t" + yes + "\n");
    fixture.put("test.tsv", columns + "\n0\tthe\xc2\xa0\tcat\n");
    EXPECT_EQ(built(fixture, "train"), (std::vector<GlueSample>{{kTheCat, 3, 1}, {kCatSat, 3, 0}}));
    EXPECT_EQ(samples(fixture.out(), "validation"), (std::vector<GlueSample>{{kCatSat, 3, 0}}));
    EXPECT_EQ(samples(fixture.out(), "test"), (std::vector<GlueSample>{{kTheCat, 3}}));
    EXPECT_THAT(inspect_dataset(fixture.out()).label_names, ElementsAre(yes, no));
  }
}

TEST(Glue, AXHasATestSplitOnly) {
  const GlueFixture fixture("glue/ax");
  fixture.put("diagnostic.tsv", "index\tsentence1\tsentence2\n0\tthe\tcat\n1\tcat\tsat\n");
  EXPECT_EQ(built(fixture, "test"), (std::vector<GlueSample>{{kTheCat, 3}, {kCatSat, 3}}));
  EXPECT_THAT(inspect_dataset(fixture.out()).splits, ::testing::SizeIs(1));
}

TEST(Glue, CutsSamplesAtTheLengthAsked) {
  const GlueFixture fixture("glue/qqp");
  put_qqp(fixture, "9\t1\t2\tthe cat sat the cat sat\tcat sat\t0\n");
  BuildRequest request = fixture.request();
  request.max_length = 7;
  build_dataset(request);
  EXPECT_EQ(samples(fixture.out(), "train")[1], (GlueSample{{2, 10, 12, 3, 12, 13, 3}, 4, 0}));
  request.out += "2";
  request.max_length = 3;
  EXPECT_THAT([&] { build_dataset(request); },
              ThrowsMessage<ConfigError>(HasSubstr("at least 4 tokens")));
}

}  // namespace
}  // namespace sbm::data
