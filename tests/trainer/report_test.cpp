#include "trainer/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include "base/error.h"
#include "tests/temporary_folder.h"
#include "trainer/config.h"
#include "trainer/report_chart.h"

namespace sbm::trainer {
namespace {

using testing::HasSubstr;
using testing::Not;

class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    Config config;
    config.mutable_task()->set_name("lra/listops");
    config.mutable_model()->set_layers(1);
    config.mutable_model()->set_heads(2);
    write("config.textproto", resolved_text(config));
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path() / name, std::ios::binary) << text;
  }
  [[nodiscard]] std::string report() const {
    std::ifstream in(write_report(folder_.path()));
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  TemporaryFolder folder_{"sbm-<report>"};
};

TEST_F(ReportTest, ShowsWhatARunRecordedAndSkipsDamagedLines) {
  write("metrics.jsonl",
        "{\"step\":10,\"loss\":2.5,\"density\":0.25,\"head_density\":[0.2,0.3]}\n"
        "not json\n{\"loss\":7}\n{\"step\":20,\"loss\":null,\"density\":0.5}\n"
        "{\"step\":20,\"split\":\"validation\",\"loss\":1.25,\"metrics\":{\"accuracy\":0.4321}}\n"
        "{\"step\":30,\"lo");
  write("STATUS.json", R"({"state":"stopped","step":20,"detail":"SIGTERM <b>"})");
  const std::string html = report();
  EXPECT_THAT(html, HasSubstr("43.21 %"));
  EXPECT_THAT(html, HasSubstr("layer 0 head 1"));
  EXPECT_THAT(html, HasSubstr("stopped: SIGTERM &lt;b&gt;"));
  EXPECT_THAT(html, Not(HasSubstr("sbm-<report>")));
  EXPECT_THAT(html, HasSubstr("sbm-&lt;report&gt;"));
  // One file that needs no network.
  EXPECT_THAT(html, Not(HasSubstr("http")));
  EXPECT_THAT(html, Not(HasSubstr("src=")));
}

TEST_F(ReportTest, ARunWithoutNumbersGivesMessagesInsteadOfBrokenCharts) {
  const std::string html = report();
  EXPECT_THAT(html, HasSubstr("nothing recorded yet"));
  EXPECT_THAT(html, HasSubstr("no mask was drawn yet"));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
}

TEST_F(ReportTest, PicturesRoundTripAndContradictionsAreRefused) {
  save_mask_pictures(folder_.path(), 40,
                     {{.layer = 0,
                       .head = 1,
                       .tokens = 2,
                       .probability = {0.1F, 0.2F, 0.3F, 0.4F},
                       .mask = {1, 0, 0, 1}}});
  const std::string html = report();
  EXPECT_THAT(html, HasSubstr("Masks at step 40"));
  EXPECT_THAT(html, HasSubstr("layer 0, head 1"));
  EXPECT_THAT(html, HasSubstr("50.0 % of cells"));
  write(
      "masks.json",
      R"({"step":1,"pictures":[{"layer":0,"head":0,"tokens":3,"probability":[0.5],"mask":[1]}]})");
  EXPECT_THROW(report(), Error);
  write(
      "masks.json",
      R"({"step":1,"pictures":[{"layer":0,"head":0,"tokens":3000000000,"probability":[],"mask":[]}]})");
  EXPECT_THROW(report(), Error);
  write("masks.json", "{");
  EXPECT_THROW(report(), Error);
}

TEST_F(ReportTest, AFolderWithoutARunIsRefused) {
  std::filesystem::remove(folder_.path() / "config.textproto");
  EXPECT_THROW(write_report(folder_.path()), ConfigError);
}

TEST(Chart, ThinsLongSeriesAndStandsSinglePoints) {
  Series series;
  for (int i = 0; i < 100000; ++i) series.emplace_back(i, i % 7);
  const std::string html = render_chart({.title = "t"}, {{"a", series, 0, false}});
  EXPECT_LT(html.size(), 20000U);
  EXPECT_THAT(render_chart({.title = "t"}, {{"a", {{5, 1.0}}, 0, false}}), Not(HasSubstr("nan")));
  EXPECT_THAT(
      render_chart({.title = "t", .log_scale = true}, {{"a", {{1, 0.0}, {2, -1.0}}, 0, false}}),
      Not(HasSubstr("nan")));
}

TEST(EscapeHtml, LeavesNothingThatMeansSomething) {
  EXPECT_EQ(escape_html("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
}

}  // namespace
}  // namespace sbm::trainer
