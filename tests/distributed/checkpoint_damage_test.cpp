#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "distributed/checkpoint/manifest.h"
#include "tests/distributed/checkpoint_suite.h"
#include "tests/distributed/local_group.h"

namespace sbm::distributed::checkpoint {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Two checkpoints of a small model, written once; each test damages a copy.
class CheckpointDamage : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    original_ = new TemporaryFolder();
    layout_ = new FlatLayout(small_layout());
    SaveOptions options;
    options.bytes_per_file = 30'000;
    const auto communicator = make_single_process_communicator();
    for (const std::int64_t step : {10, 20}) {
      save(*communicator, original_->path(), "run",
           ExampleState(*layout_, step).snapshot(*communicator), options);
    }
  }
  static void TearDownTestSuite() {
    delete original_;
    delete layout_;
  }

  void SetUp() override {
    std::filesystem::copy(original_->path(), temporary_.path() / "c",
                          std::filesystem::copy_options::recursive);
    checkpoints_ = temporary_.path() / "c";
    folder_ = checkpoints_ / "step-000000020";
  }

  std::string damage() {
    return checkpoint_error([&] { verify(folder_); });
  }

  static TemporaryFolder* original_;
  static FlatLayout* layout_;
  TemporaryFolder temporary_;
  std::filesystem::path checkpoints_;
  std::filesystem::path folder_;
};

TemporaryFolder* CheckpointDamage::original_ = nullptr;
FlatLayout* CheckpointDamage::layout_ = nullptr;

void poke(const std::filesystem::path& file, std::size_t offset, char byte) {
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekp(static_cast<std::streamoff>(offset));
  ASSERT_TRUE(stream.put(byte).flush());
}

// The tensor whose bytes hold `offset` of the file; "header" before the first.
std::string part_at(const Manifest& manifest, const std::string& file, std::uint64_t offset) {
  for (const auto& [name, tensor] : manifest.tensors) {
    if (tensor.file == file && tensor.begin <= offset && offset < tensor.end) {
      return "tensor '" + name + "', bytes [" + std::to_string(tensor.begin) + ", " +
             std::to_string(tensor.end) + ")";
    }
  }
  return "header, bytes [0, ";
}

TEST_F(CheckpointDamage, EveryFlippedBitIsNamed) {
  const Manifest manifest = parse_manifest(read_bytes(folder_ / "MANIFEST.json"), "manifest");
  const auto files = contents(folder_);
  std::uint64_t total = 0;
  for (const auto& [name, bytes] : files) total += bytes.size();
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    // Half of the flips by size, half by file: the small files matter as much as the large.
    auto file = files.begin();
    if (round % 2 == 0) {
      std::uint64_t position = random() % total;
      for (; position >= file->second.size(); ++file) position -= file->second.size();
    } else {
      std::advance(file, static_cast<std::ptrdiff_t>(random() % files.size()));
    }
    const auto& [name, bytes] = *file;
    const std::size_t offset = random() % bytes.size();
    poke(folder_ / name, offset, static_cast<char>(bytes[offset] ^ (1 << (random() % 8))));
    const std::string message = damage();
    EXPECT_THAT(message, HasSubstr(name)) << "offset " << offset;
    const auto record = manifest.files.find(name);
    if (record != manifest.files.end() && record->second.header_bytes != 0) {
      EXPECT_THAT(message, HasSubstr(part_at(manifest, name, offset))) << name << " " << offset;
    }
    poke(folder_ / name, offset, bytes[offset]);
  }
  EXPECT_NO_THROW(verify(folder_));
}

// A flip in a tensor of several blocks is named to within one.
TEST_F(CheckpointDamage, LargeTensorsAreNamedByBlock) {
  const FlatLayout layout({{"large", {3, 1 << 20}, true}});
  const auto communicator = make_single_process_communicator();
  const ExampleState state(layout, 1);
  save(*communicator, checkpoints_, "run", state.snapshot(*communicator));
  const auto file = checkpoints_ / "step-000000001" / "model-00000-of-00001.safetensors";
  std::string bytes = read_bytes(file);
  const std::size_t header = bytes.size() - (std::size_t{12} << 20);
  bytes[header + (5 << 20)] ^= 1;
  write_bytes(file, bytes);
  EXPECT_THAT(checkpoint_error([&] { verify(checkpoints_ / "step-000000001"); }),
              HasSubstr("tensor 'large', bytes [" + std::to_string(header + (4 << 20)) + ", " +
                        std::to_string(header + (8 << 20)) + ")"));
}

TEST_F(CheckpointDamage, LoadingRefusesWhatVerifyRefuses) {
  const auto file = folder_ / "optimizer-00000-of-00004.safetensors";
  std::string bytes = read_bytes(file);
  bytes[bytes.size() - 5] ^= 64;
  write_bytes(file, bytes);
  for (int ranks = 1; ranks <= 3; ++ranks) {
    run_local_group(ranks, [&](Communicator& communicator) {
      const auto shard =
          static_cast<std::size_t>(layout_->shard(communicator.rank(), ranks).size());
      std::vector<float> weights(static_cast<std::size_t>(layout_->size()));
      std::vector<float> first(shard);
      std::vector<float> second(shard);
      // Only some rank's shard is in the damaged block, but all ranks throw.
      EXPECT_THAT(
          checkpoint_error([&] { load(communicator, folder_, *layout_, weights, first, second); }),
          AllOf(HasSubstr("was not loaded: rank "),
                HasSubstr("optimizer-00000-of-00004.safetensors"), HasSubstr("moment.")));
      EXPECT_NO_THROW(load(communicator, folder_, *layout_, weights, {}, {}));
    });
  }
}

TEST_F(CheckpointDamage, CutAndGrownFiles) {
  for (const auto& [name, bytes] : contents(folder_)) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8},
                                   std::size_t{9}, bytes.size() - 1}) {
      write_bytes(folder_ / name, bytes.substr(0, size));
      EXPECT_THAT(damage(), HasSubstr(name)) << size;
    }
    for (const char more : {'\0', ' ', '\n'}) {
      write_bytes(folder_ / name, bytes + more);
      EXPECT_THAT(damage(), HasSubstr(name));
    }
    write_bytes(folder_ / name, bytes);
  }
}

TEST_F(CheckpointDamage, MissingFilesAreAllListed) {
  std::filesystem::remove(folder_ / "trainer_state.json");
  std::filesystem::remove(folder_ / "writer.json");
  std::filesystem::remove(folder_ / "model-00000-of-00002.safetensors");
  write_bytes(folder_ / "model-00001-of-00002.safetensors", "x");
  write_bytes(folder_ / "notes.txt", "x");
  write_bytes(folder_ / ".nfs0001", "x");
  EXPECT_THAT(damage(),
              AllOf(HasSubstr("trainer_state.json is missing"), HasSubstr("writer.json is missing"),
                    HasSubstr("model-00000-of-00002.safetensors is missing"),
                    HasSubstr("model-00001-of-00002.safetensors has 1 bytes, expected"),
                    HasSubstr("unexpected 'notes.txt'")));
  EXPECT_THAT(damage(), ::testing::Not(HasSubstr("nfs")));
  std::filesystem::remove(folder_ / "MANIFEST.json");
  EXPECT_THAT(damage(), HasSubstr("no complete checkpoint"));
}

TEST_F(CheckpointDamage, SwappedFiles) {
  const auto first = folder_ / "optimizer-00000-of-00004.safetensors";
  const auto second = folder_ / "optimizer-00001-of-00004.safetensors";
  std::filesystem::rename(first, folder_ / "x");
  std::filesystem::rename(second, first);
  std::filesystem::rename(folder_ / "x", second);
  EXPECT_THAT(damage(), HasSubstr("optimizer-0000"));
}

TEST_F(CheckpointDamage, FilesOfAnotherStep) {
  const auto other = checkpoints_ / "step-000000010";
  for (const auto& [name, bytes] : contents(folder_)) {
    if (name == "writer.json") continue;  // says who wrote, not what
    write_bytes(folder_ / name, read_bytes(other / name));
    EXPECT_NE(damage(), "") << name;
    write_bytes(folder_ / name, bytes);
  }
  std::filesystem::remove_all(folder_);
  std::filesystem::rename(other, folder_);
  EXPECT_THAT(damage(), HasSubstr("is of step 10, its folder of step 20"));
}

TEST_F(CheckpointDamage, LinksAndDevicesAreRefused) {
  const auto file = folder_ / "trainer_state.json";
  std::filesystem::rename(file, temporary_.path() / "elsewhere");
  std::filesystem::create_symlink(temporary_.path() / "elsewhere", file);
  EXPECT_NE(damage(), "");
  std::filesystem::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  EXPECT_THAT(damage(), HasSubstr("expected a regular file"));
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  EXPECT_NE(damage(), "");
}

TEST_F(CheckpointDamage, TheNewestSoundOneIsFound) {
  std::filesystem::create_directory(checkpoints_ / "step-000000030");  // a name is not enough
  std::filesystem::create_directory(checkpoints_ / "step-30");
  write_bytes(folder_ / "writer.json", "{}");
  run_local_group(3, [&](Communicator& communicator) {
    std::vector<std::string> warnings;
    const auto found = find_newest(communicator, checkpoints_, warnings);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->step, 10);
    EXPECT_EQ(found->folder, checkpoints_ / "step-000000010");
    EXPECT_THAT(warnings,
                ElementsAre(HasSubstr("skipped step-000000030"),
                            AllOf(HasSubstr("skipped step-000000020"), HasSubstr("writer.json"))));
  });
}

TEST_F(CheckpointDamage, NoneSoundIsAnErrorOnEveryRank) {
  std::filesystem::rename(folder_, checkpoints_ / "step-000000020.bad-1700000000");
  std::filesystem::remove_all(checkpoints_ / "step-000000010" / "writer.json");
  run_local_group(3, [&](Communicator& communicator) {
    std::vector<std::string> warnings;
    EXPECT_THAT(checkpoint_error([&] { find_newest(communicator, checkpoints_, warnings); }),
                AllOf(HasSubstr("no checkpoint in it is sound"), HasSubstr("writer.json"),
                      HasSubstr("step-000000020.bad-1700000000 was put aside")));
  });
}

TEST_F(CheckpointDamage, NoneAtAllIsNone) {
  const auto communicator = make_single_process_communicator();
  std::vector<std::string> warnings;
  EXPECT_FALSE(find_newest(*communicator, temporary_.path() / "missing", warnings));
  std::filesystem::create_directory(temporary_.path() / "empty");
  EXPECT_FALSE(find_newest(*communicator, temporary_.path() / "empty", warnings));
  EXPECT_TRUE(warnings.empty());
  EXPECT_TRUE(list(temporary_.path() / "missing").empty());
}

TEST_F(CheckpointDamage, LeftoversGoAndNothingElse) {
  for (const char* name : {"step-000000030.tmp.run-7", "step-000000010.del", "step-000000001.bad-5",
                           "step-1.tmp.x", "mine"}) {
    std::filesystem::create_directory(checkpoints_ / name);
    write_bytes(checkpoints_ / name / "file", "x");
  }
  const auto communicator = make_single_process_communicator();
  std::vector<std::string> warnings;
  EXPECT_EQ(find_newest(*communicator, checkpoints_, warnings)->step, 20);
  std::vector<std::string> names;
  for (const auto& [name, bytes] : contents(checkpoints_)) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("mine", "step-000000001.bad-5", "step-000000010", "step-000000020",
                                 "step-1.tmp.x"));
}

TEST_F(CheckpointDamage, ManifestOfANewerFormatIsRefused) {
  std::string text = read_bytes(folder_ / "MANIFEST.json");
  EXPECT_EQ(format_manifest(parse_manifest(text, "m")), text);
  const auto reseal = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const std::size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    const std::size_t seal = changed.rfind(",\n \"seal\"");
    const std::string body = changed.substr(0, seal);
    changed.replace(seal + 12, 32, content_hash(std::string_view(body)).hex());
    return checkpoint_error([&] { parse_manifest(changed, "m"); });
  };
  // Whoever changes a manifest can also seal it anew: then every field is still checked.
  EXPECT_THAT(reseal("\"format_version\": 1", "\"format_version\": 2"),
              HasSubstr("written in format 2, this program reads up to 1"));
  EXPECT_THAT(reseal("\"format_version\": 1", "\"format_version\": -1"), HasSubstr("unsigned"));
  EXPECT_THAT(reseal("\"format_version\": 1", "\"format_version\": 1.0"), HasSubstr("integer"));
  EXPECT_THAT(reseal("\"step\": 20", "\"step\": 18446744073709551615"), HasSubstr("out of range"));
  EXPECT_THAT(reseal("\"step\": 20", "\"step\": 20, \"step\": 20"), HasSubstr("duplicate key"));
  EXPECT_THAT(reseal("\"step\": 20", "\"steps\": 20"), HasSubstr("\"step\" is missing"));
  EXPECT_THAT(reseal("\"trainer_state.json\"", "\"../../etc/passwd\""), HasSubstr("cannot be"));
  EXPECT_THAT(reseal("\"dtype\": \"F32\"", "\"dtype\": \"F16\""), HasSubstr("do not need"));
  EXPECT_THAT(reseal("\"file\": \"model-00000", "\"file\": \"model-00009"),
              HasSubstr("model-0000"));
  EXPECT_THAT(reseal("\"a.weight\"", "\"a.bias\""), HasSubstr("duplicate key"));
  EXPECT_THAT(reseal("\"step\": 20", "\"step\": " + std::string(100, '[')), HasSubstr("nesting"));
}

TEST_F(CheckpointDamage, RetainKeepsTheNewestAndTheProtected) {
  SaveOptions options;
  for (const std::int64_t step : {30, 40, 50}) {
    const auto communicator = make_single_process_communicator();
    save(*communicator, checkpoints_, "run", ExampleState(*layout_, step).snapshot(*communicator),
         options);
  }
  std::filesystem::remove(checkpoints_ / "step-000000040" / "writer.json");  // does not count
  std::filesystem::create_directory(checkpoints_ / "step-000000010.del");    // of a crash
  run_local_group(2, [&](Communicator& communicator) {
    const std::vector<std::int64_t> best = {20};
    std::vector<std::string> warnings;
    EXPECT_THAT(retain(communicator, checkpoints_, 2, best, warnings), ElementsAre(10));
    EXPECT_THAT(warnings, ElementsAre(AllOf(HasSubstr("step-000000040 is damaged"),
                                            HasSubstr("writer.json"))));
    EXPECT_THAT(retain(communicator, checkpoints_, 2, best, warnings), ElementsAre());
    EXPECT_EQ(warnings.size(), 2U);
    EXPECT_THAT(retain(communicator, checkpoints_ / "missing", 2, best, warnings), ElementsAre());
    EXPECT_EQ(warnings.size(), 2U);
  });
  std::vector<std::int64_t> steps;
  for (const Found& found : list(checkpoints_)) steps.push_back(found.step);
  EXPECT_THAT(steps, ElementsAre(50, 40, 30, 20));
  EXPECT_EQ(contents(checkpoints_).size(), 4U);
  const auto communicator = make_single_process_communicator();
  std::vector<std::string> warnings;
  EXPECT_THROW(retain(*communicator, checkpoints_, 0, {}, warnings), InternalError);
}

// The right sizes, one wrong byte: the older checkpoint is the last sound one.
TEST_F(CheckpointDamage, RetainRemovesNothingWhileTheNewestIsDamaged) {
  const auto file = folder_ / "trainer_state.json";
  const char original = static_cast<char>(std::ifstream(file, std::ios::binary).get());
  poke(file, 0, static_cast<char>(original ^ 1));
  run_local_group(2, [&](Communicator& communicator) {
    std::vector<std::string> warnings;
    EXPECT_THAT(retain(communicator, checkpoints_, 1, {}, warnings), ElementsAre());
    EXPECT_THAT(warnings, ElementsAre(AllOf(HasSubstr("step-000000020 is damaged"),
                                            HasSubstr("no older checkpoint was removed"),
                                            HasSubstr("trainer_state.json"))));
    const auto found = find_newest(communicator, checkpoints_, warnings);
    EXPECT_TRUE(found && found->step == 10);
  });
  poke(file, 0, original);
  const auto communicator = make_single_process_communicator();
  std::vector<std::string> warnings;
  EXPECT_THAT(retain(*communicator, checkpoints_, 1, {}, warnings), ElementsAre(10));
  EXPECT_THAT(warnings, ElementsAre());
}

}  // namespace
}  // namespace sbm::distributed::checkpoint
