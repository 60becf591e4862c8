#include "trainer/telemetry.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/temporary_folder.h"
#include "trainer/event.pb.h"
#include "trainer/event_file.h"
#include "trainer/progress.h"
#include "trainer/trainer_state.h"

namespace sbm::trainer {
namespace {

class TelemetryTest : public testing::Test {
 protected:
  void record(std::int64_t resume_step, const std::vector<std::int64_t>& steps) const {
    Telemetry telemetry({.run_directory = folder_.path(),
                         .resume_step = resume_step,
                         .total_steps = 100,
                         .progress = ProgressMode::kNone,
                         .task = "t",
                         .layers = 1,
                         .heads = 2});
    for (const std::int64_t step : steps) {
      StepRecord record;
      record.step = step;
      record.loss = 0.5;
      record.head_density = {0.25, 0.75};
      telemetry.step(record);
    }
    EvaluationRecord evaluation;
    evaluation.step = steps.back();
    evaluation.split = "validation";
    evaluation.metrics = {{"accuracy", 0.5}};
    telemetry.evaluation(evaluation);
    telemetry.close();
  }

  [[nodiscard]] std::vector<nlohmann::json> lines() const {
    std::vector<nlohmann::json> all;
    std::ifstream in(folder_.path() / "metrics.jsonl");
    for (std::string line; std::getline(in, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  }

  TemporaryFolder folder_;
};

TEST_F(TelemetryTest, ResumeRemovesWhatTheRunWillRepeatAndATornLine) {
  record(0, {10, 20, 30});
  std::ofstream(folder_.path() / "metrics.jsonl", std::ios::app) << R"({"step": 35, "lo)";
  record(20, {30, 40});
  std::vector<std::int64_t> steps;
  for (const auto& line : lines()) steps.push_back(line["step"]);
  EXPECT_EQ(steps, (std::vector<std::int64_t>{10, 20, 30, 40, 40}));
}

std::uint64_t number_at(const std::string& bytes, std::size_t offset, std::size_t width) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data() + offset,
              width);  // the file and every machine here: little endian
  return value;
}

std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8U; }

// Reads TFRecord frames, checking both checksums of each.
std::vector<tensorboard::Event> read_events(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  const std::string bytes = text.str();
  std::vector<tensorboard::Event> events;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::uint64_t length = number_at(bytes, at, 8);
    EXPECT_EQ(number_at(bytes, at + 8, 4), masked(crc32c(bytes.substr(at, 8))));
    const std::string data = bytes.substr(at + 12, length);
    EXPECT_EQ(number_at(bytes, at + 12 + length, 4), masked(crc32c(data)));
    EXPECT_TRUE(events.emplace_back().ParseFromString(data));
    at += 16 + length;
  }
  return events;
}

TEST_F(TelemetryTest, EventFilesAreFramedAsTensorBoardExpects) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);  // the check value of CRC-32C's definition
  record(0, {3});
  std::filesystem::path earlier;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    if (entry.path().filename().string().starts_with("events.out")) earlier = entry.path();
  }
  EXPECT_EQ(read_events(earlier).size(), 3U);  // no START in a first file
  std::filesystem::rename(earlier, earlier.string() + ".earlier");
  record(7, {10});
  std::filesystem::path path;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    if (entry.path().filename().string().starts_with("events.out.tfevents.") &&
        entry.path().extension() != ".earlier") {
      path = entry.path();
    }
  }
  const std::vector<tensorboard::Event> events = read_events(path);
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[1].session_log().status(), tensorboard::SessionLog::START);
  EXPECT_EQ(events[1].step(), 8);
  EXPECT_EQ(events[2].step(), 10);
  bool found = false;
  for (const auto& value : events[2].summary().value()) {
    found = found || (value.tag() == "train_density/layer0_head1" && value.simple_value() == 0.75F);
  }
  EXPECT_TRUE(found);
}

TEST_F(TelemetryTest, AFolderThatCannotBeWrittenIsNamed) {
  try {
    record(0, {1});
    std::filesystem::remove_all(folder_.path());
    record(0, {1});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("metrics.jsonl"), std::string::npos) << error.what();
  }
}

TEST(FormatDuration, IsShort) {
  EXPECT_EQ(format_duration(8.2), "8s");
  EXPECT_EQ(format_duration(725), "12m05s");
  EXPECT_EQ(format_duration(3 * 3600 + 7 * 60), "3h07m");
}

TEST(TrainerStateJson, RoundTripsAndRefusesNonsense) {
  TrainerState state{.step = 20,
                     .position = 640,
                     .seed = 0xffffffffffffffffULL,
                     .schedule = "WARMUP_LINEAR",
                     .best_step = 10,
                     .best_value = 0.1 + 0.2,
                     .best_metric = "accuracy",
                     .evaluations_without_improvement = 1,
                     .last_metrics = {{"accuracy", 0.25}, {"loss", 1.5}},
                     .label_names = {"unique", "repeated"}};
  const std::string text = to_json(state);
  EXPECT_EQ(to_json(trainer_state_from_json(text)), text);
  EXPECT_EQ(trainer_state_from_json(text).best_value, 0.1 + 0.2);
  for (const char* bad : {"", "{}", "[1]", "{\"step\": \"x\"}"}) {
    EXPECT_THROW(trainer_state_from_json(bad), CheckpointError) << bad;
  }
  state.step = -1;
  EXPECT_THROW(trainer_state_from_json(to_json(state)), CheckpointError);
}

}  // namespace
}  // namespace sbm::trainer
