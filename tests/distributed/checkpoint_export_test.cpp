#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>

#include "distributed/checkpoint/durable_file.h"
#include "distributed/checkpoint/safetensors.h"
#include "tests/distributed/checkpoint_suite.h"

namespace sbm::distributed::checkpoint {
namespace {

using ::testing::HasSubstr;

class CheckpointExport : public ::testing::Test {
 protected:
  void SetUp() override {
    SaveOptions options;
    options.bytes_per_file = 1 << 20;
    const auto communicator = make_single_process_communicator();
    save(*communicator, temporary_.path(), "run", state_.snapshot(*communicator), options);
    folder_ = temporary_.path() / "step-000000003";
  }

  FlatLayout layout_ = example_layout();
  ExampleState state_{layout_, 3};
  TemporaryFolder temporary_;
  std::filesystem::path folder_;
};

TEST_F(CheckpointExport, HoldsEveryTensorOfTheModelAndNoOther) {
  const auto out = temporary_.path() / "model.safetensors";
  export_model(folder_, out);
  const Directory parent = Directory::open(FileSystem::posix(), temporary_.path());
  const SafetensorsHeader header = read_safetensors_header(parent.open_file("model.safetensors"));
  EXPECT_EQ(header.metadata.at("format"), "pt");
  EXPECT_EQ(header.metadata.at("step"), "3");
  const std::string bytes = read_bytes(out);
  ASSERT_EQ(header.tensors.size(), layout_.entries().size());
  std::map<std::string, TensorInfo> tensors;
  for (const TensorInfo& tensor : header.tensors) tensors.emplace(tensor.name, tensor);
  for (const FlatLayout::Entry& entry : layout_.entries()) {
    const TensorInfo& tensor = tensors.at(entry.spec.name);
    EXPECT_EQ(tensor.type, DataType::kF32);
    EXPECT_TRUE(
        std::ranges::equal(tensor.shape, entry.spec.shape, std::equal_to<>(),
                           [](std::uint64_t extent) { return static_cast<std::int64_t>(extent); }));
    const auto size = static_cast<std::size_t>(entry.range.size()) * sizeof(float);
    ASSERT_EQ(tensor.end - tensor.begin, size);
    EXPECT_EQ(std::memcmp(bytes.data() + header.buffer_begin + tensor.begin,
                          state_.weights.data() + entry.range.begin, size),
              0)
        << entry.spec.name;
  }
}

TEST_F(CheckpointExport, NeverOverwrites) {
  const auto out = temporary_.path() / "mine";
  write_bytes(out, "precious");
  EXPECT_THAT(checkpoint_error([&] { export_model(folder_, out); }), HasSubstr("exists already"));
  EXPECT_EQ(read_bytes(out), "precious");
  EXPECT_THROW(export_model(folder_, temporary_.path() / "no" / "such" / "folder"),
               CheckpointError);
  EXPECT_THROW(export_model(folder_, temporary_.path() / ""), CheckpointError);
  EXPECT_THROW(export_model(temporary_.path() / "missing", out), CheckpointError);
}

TEST_F(CheckpointExport, RefusesADamagedModelAndLeavesNothing) {
  const auto file = folder_ / "model-00000-of-00002.safetensors";
  std::string bytes = read_bytes(file);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_bytes(file, bytes);
  const std::size_t before = contents(temporary_.path()).size();
  EXPECT_THAT(checkpoint_error([&] { export_model(folder_, temporary_.path() / "out"); }),
              HasSubstr("model-00000-of-00002.safetensors: tensor"));
  EXPECT_EQ(contents(temporary_.path()).size(), before);
}

// The reference reader agrees, where Python has it.
TEST_F(CheckpointExport, OpensInPython) {
  if (std::system("python3 -c 'import safetensors, numpy' >/dev/null 2>&1") != 0) {  // NOLINT
    GTEST_SKIP() << "python3 with safetensors and numpy is not installed";
  }
  const auto out = temporary_.path() / "model.safetensors";
  export_model(folder_, out);
  const auto raw = temporary_.path() / "raw";
  write_bytes(raw, std::string(reinterpret_cast<const char*>(state_.weights.data()),
                               state_.weights.size() * sizeof(float)));
  std::string expected = "expected = {";
  for (const FlatLayout::Entry& entry : layout_.entries()) {
    expected += "'" + entry.spec.name + "': ((";
    for (const std::int64_t extent : entry.spec.shape) expected += std::to_string(extent) + ",";
    expected +=
        "), " + std::to_string(entry.range.begin) + ", " + std::to_string(entry.range.end) + "),";
  }
  const auto script = temporary_.path() / "check.py";
  write_bytes(script,
              "import glob, numpy\n"
              "from safetensors import safe_open\n"
              "from safetensors.numpy import load_file\n" +
                  expected +
                  "}\n"
                  "raw = numpy.fromfile('" +
                  raw.string() +
                  "', dtype='<f4')\n"
                  "tensors = load_file('" +
                  out.string() +
                  "')\n"
                  "assert set(tensors) == set(expected)\n"
                  "for name, (shape, begin, end) in expected.items():\n"
                  "    assert tensors[name].shape == shape, name\n"
                  "    assert tensors[name].tobytes() == raw[begin:end].tobytes(), name\n"
                  "files = glob.glob('" +
                  folder_.string() +
                  "/*.safetensors')\n"
                  "assert len(files) == 5\n"
                  "for file in files:\n"
                  "    with safe_open(file, 'np') as f:\n"
                  "        assert f.metadata()['step'] == '3'\n");
  EXPECT_EQ(std::system(("python3 '" + script.string() + "'").c_str()), 0);  // NOLINT
}

}  // namespace
}  // namespace sbm::distributed::checkpoint
