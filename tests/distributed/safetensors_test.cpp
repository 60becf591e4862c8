#include "distributed/checkpoint/safetensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstring>
#include <optional>
#include <random>

#include "distributed/checkpoint/strict_json.h"
#include "tests/distributed/checkpoint_suite.h"

namespace sbm::distributed::checkpoint {
namespace {

using ::testing::HasSubstr;
using Fault = SafetensorsFault;

std::string length_field(std::uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes;
}

std::string file_of(const std::string& json, std::size_t buffer) {
  return length_field(json.size()) + json + std::string(buffer, '\0');
}

// Writes the bytes as a file and reads its header.
SafetensorsHeader read_header(const std::string& bytes) {
  const TemporaryFolder temporary;
  write_bytes(temporary.path() / "x.safetensors", bytes);
  return read_safetensors_header(
      Directory::open(FileSystem::posix(), temporary.path()).open_file("x.safetensors"));
}

std::optional<Fault> fault_of(const std::string& bytes) {
  try {
    read_header(bytes);
  } catch (const SafetensorsError& error) {
    return error.fault();
  }
  return std::nullopt;
}

std::optional<Fault> fault_of_json(const std::string& json, std::size_t buffer = 0) {
  return fault_of(file_of(json, buffer));
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return fmt::format(R"({{"dtype":"{}","shape":[{}],"data_offsets":[{}]}})", dtype, shape, offsets);
}

TEST(Safetensors, ReadsWhatItWrites) {
  std::vector<TensorToWrite> tensors = {{"b", DataType::kF32, {2, 3}},
                                        {"a", DataType::kF32, {}},
                                        {"empty", DataType::kF32, {4, 0}},
                                        {"count", DataType::kI64, {1}},
                                        {"\"quoted\"\n\xc3\xbc", DataType::kF32, {1}}};
  sort_for_writing(tensors);
  EXPECT_EQ(tensors[0].name, "count");  // the widest first, so that each lies aligned
  const std::string header = make_safetensors_header(tensors, {{"format", "pt"}});
  EXPECT_EQ(header.size() % 64, 0U);
  const SafetensorsHeader read = read_header(header + std::string(8 + 4 + 4 + 24, 'x'));
  EXPECT_EQ(read.buffer_begin, header.size());
  EXPECT_EQ(read.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  ASSERT_EQ(read.tensors.size(), tensors.size());
  std::map<std::string, std::vector<std::uint64_t>> shapes;
  for (const TensorInfo& tensor : read.tensors) shapes[tensor.name] = tensor.shape;
  for (const TensorToWrite& tensor : tensors) EXPECT_EQ(shapes.at(tensor.name), tensor.shape);
}

TEST(Safetensors, ExactBytesOfASmallFile) {
  const std::string json = R"({"w":{"data_offsets":[0,8],"dtype":"F32","shape":[2]}})";
  const std::string expected = length_field(56) + json + std::string(56 - json.size(), ' ');
  EXPECT_EQ(make_safetensors_header({{"w", DataType::kF32, {2}}}, {}), expected);
}

TEST(Safetensors, RefusesToWriteWhatCannotBeRead) {
  EXPECT_THROW(
      make_safetensors_header({{"a", DataType::kF32, {1}}, {"a", DataType::kF32, {1}}}, {}),
      CheckpointError);
  EXPECT_THROW(make_safetensors_header({{"__metadata__", DataType::kF32, {1}}}, {}),
               CheckpointError);
  EXPECT_THROW(make_safetensors_header({{"a", DataType::kF32, {1ULL << 40, 1ULL << 40}}}, {}),
               CheckpointError);
  EXPECT_THROW(make_safetensors_header({{"\xff", DataType::kF32, {1}}}, {}), CheckpointError);
  EXPECT_THROW(make_safetensors_header({{"a", DataType::kF16, {1}}}, {}), InternalError);
  EXPECT_THROW(make_safetensors_header({{std::string(17 << 20, 'a'), DataType::kF32, {1}}}, {}),
               CheckpointError);
}

TEST(Safetensors, ReadsEveryDataType) {
  for (const char* name :
       {"F4",      "F6_E2M3",     "F6_E3M2",     "BOOL", "U8",  "I8",  "F8_E5M2", "F8_E4M3",
        "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I16",  "U16", "F16", "BF16",    "I32",
        "U32",     "F32",         "C64",         "F64",  "I64", "U64"}) {
    const auto type = parse_data_type(name);
    ASSERT_TRUE(type) << name;
    EXPECT_EQ(data_type_name(*type), name);
    const std::uint64_t bytes = 4 * data_type_bits(*type) / 8;
    const std::string json = R"({"t":)" + entry(name, "4", "0," + std::to_string(bytes)) + "}";
    EXPECT_EQ(read_header(file_of(json, bytes)).tensors.at(0).type, *type);
  }
  EXPECT_EQ(fault_of_json(R"({"t":)" + entry("F128", "1", "0,16") + "}", 16),
            Fault::kInvalidHeaderDeserialization);
}

TEST(Safetensors, AcceptsPaddingOnBothSidesAndNoTensors) {
  EXPECT_EQ(read_header(file_of(" \n\t{} \r\n ", 0)).tensors.size(), 0U);
  EXPECT_EQ(read_header(file_of(R"({"__metadata__":{}})", 0)).tensors.size(), 0U);
}

TEST(Safetensors, ChecksTheLengthFirst) {
  for (std::size_t size = 0; size < 8; ++size) {
    EXPECT_EQ(fault_of(std::string(size, '\0')), Fault::kHeaderTooSmall) << size;
  }
  EXPECT_EQ(fault_of(length_field(100'000'001)), Fault::kHeaderTooLarge);
  EXPECT_EQ(fault_of(length_field(std::uint64_t{1} << 63)), Fault::kHeaderTooLarge);
  EXPECT_EQ(fault_of(length_field(~std::uint64_t{0})), Fault::kHeaderTooLarge);
  EXPECT_EQ(fault_of(length_field(100'000'000)), Fault::kInvalidHeaderLength);
  EXPECT_EQ(fault_of(length_field(3) + "{}"), Fault::kInvalidHeaderLength);
  EXPECT_EQ(fault_of(length_field(2) + "{}"), std::nullopt);
}

TEST(Safetensors, ChecksTheJson) {
  const auto bad = Fault::kInvalidHeaderDeserialization;
  EXPECT_EQ(fault_of_json(""), bad);
  EXPECT_EQ(fault_of_json("{"), bad);
  EXPECT_EQ(fault_of_json("[]"), bad);
  EXPECT_EQ(fault_of_json("5"), bad);
  EXPECT_EQ(fault_of_json("null"), bad);
  EXPECT_EQ(fault_of_json("{} {}"), bad);
  EXPECT_EQ(fault_of_json("{\"\xff\":{}}"), bad);
  EXPECT_EQ(fault_of_json("{\"a\":{}}"), bad);
  EXPECT_EQ(fault_of_json("{\"a\":{\"dtype\":\"F32\"}}"), bad);
  EXPECT_EQ(fault_of_json("{\"a\":1}"), bad);
  EXPECT_EQ(fault_of_json(R"({"__metadata__":{"a":1}})"), bad);
  EXPECT_EQ(fault_of_json(R"({"__metadata__":{"a":{}}})"), bad);
  EXPECT_EQ(fault_of_json(R"({"__metadata__":"a"})"), bad);
  EXPECT_EQ(fault_of_json(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":1}})", 1), bad);
  EXPECT_EQ(fault_of_json(R"({"a":{"dtype":1,"shape":[],"data_offsets":[0,1]}})", 1), bad);
  EXPECT_EQ(fault_of_json(R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", 1), bad);
  EXPECT_EQ(fault_of_json(R"({"a":{"dtype":"U8","shape":{},"data_offsets":[0,1]}})", 1), bad);
  EXPECT_EQ(fault_of_json(R"({"a":)" + entry("U8", "", "0") + "}", 1), bad);
  EXPECT_EQ(fault_of_json(R"({"a":)" + entry("U8", "", "0,1,2") + "}", 1), bad);
  // What the library lets pass: the rest of the text after NUL, and a byte order mark.
  EXPECT_EQ(fault_of_json(std::string("{}\0{\"hidden\"", 12)), Fault::kInvalidHeader);
  EXPECT_EQ(fault_of_json("\xEF\xBB\xBF{}"), Fault::kInvalidHeader);
}

TEST(Safetensors, RefusesDuplicates) {
  const auto bad = Fault::kInvalidHeaderDeserialization;
  const std::string a = R"("a":)" + entry("U8", "1", "0,1");
  EXPECT_EQ(fault_of_json("{" + a + "," + a + "}", 1), bad);
  const std::string second = R"("a":)" + entry("U8", "1", "1,2");
  EXPECT_EQ(fault_of_json("{" + a + "," + second + "}", 2), bad);
  EXPECT_EQ(fault_of_json(R"({"__metadata__":{},"__metadata__":{}})"), bad);
  EXPECT_EQ(fault_of_json(R"({"__metadata__":{"k":"1","k":"2"}})"), bad);
  EXPECT_EQ(
      fault_of_json(R"({"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1),
      bad);
}

TEST(Safetensors, RefusesNumbersThatTheLibraryWouldBend) {
  const auto bad = Fault::kInvalidHeaderDeserialization;
  for (const char* offsets : {"-1,0", "0,-1", "0,1.0", "0,1e0", "0,18446744073709551616", "0,1e400",
                              "0,\"1\"", "0,null", "0,true", "0,01"}) {
    EXPECT_EQ(fault_of_json(R"({"a":)" + entry("U8", "1", offsets) + "}", 1), bad) << offsets;
    EXPECT_EQ(fault_of_json(R"({"a":)" + entry("U8", offsets, "0,1") + "}", 1), bad) << offsets;
  }
}

TEST(Safetensors, ChecksTheOffsets) {
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":)" + entry("U8", "4", first) + R"(,"b":)" + entry("U8", "4", second) + "}";
  };
  EXPECT_EQ(fault_of_json(two("0,4", "4,8"), 8), std::nullopt);
  EXPECT_EQ(fault_of_json(two("4,8", "0,4"), 8), std::nullopt);
  EXPECT_EQ(fault_of_json(two("0,4", "0,4"), 4), Fault::kInvalidOffset);
  EXPECT_EQ(fault_of_json(two("0,4", "3,7"), 7), Fault::kInvalidOffset);
  EXPECT_EQ(fault_of_json(two("0,4", "5,9"), 9), Fault::kInvalidOffset);
  EXPECT_EQ(fault_of_json(two("1,5", "5,9"), 9), Fault::kInvalidOffset);
  EXPECT_EQ(fault_of_json(two("0,4", "4,3"), 4), Fault::kInvalidOffset);
  // Ten tensors that share the same bytes: a small file that asks for much memory.
  std::string aliases = "{";
  for (int i = 0; i < 10; ++i) {
    aliases += fmt::format("{}\"{}\":{}", i == 0 ? "" : ",", i, entry("F32", "2,2", "0,16"));
  }
  EXPECT_EQ(fault_of_json(aliases + "}", 16), Fault::kInvalidOffset);
}

TEST(Safetensors, ChecksTheSizes) {
  const auto one = [](const std::string& type, const std::string& shape, const std::string& offsets,
                      std::size_t buffer) {
    return fault_of_json(R"({"a":)" + entry(type, shape, offsets) + "}", buffer);
  };
  EXPECT_EQ(one("F32", "2,18446744073709551614", "0,16", 16), Fault::kValidationOverflow);
  EXPECT_EQ(one("F32", "2,9223372036854775807", "0,16", 16), Fault::kValidationOverflow);
  EXPECT_EQ(one("U8", "2305843009213693952", "0,0", 0), Fault::kValidationOverflow);
  EXPECT_EQ(one("F4", "3", "0,1", 1), Fault::kMisalignedSlice);
  EXPECT_EQ(one("F6_E2M3", "2", "0,2", 2), Fault::kMisalignedSlice);
  EXPECT_EQ(one("F32", "2", "0,4", 4), Fault::kTensorInvalidInfo);
  EXPECT_EQ(one("F32", "0", "0,4", 4), Fault::kTensorInvalidInfo);
  EXPECT_EQ(one("F32", "2", "0,8", 7), Fault::kMetadataIncompleteBuffer);
  EXPECT_EQ(one("F32", "2", "0,8", 9), Fault::kMetadataIncompleteBuffer);
  EXPECT_EQ(one("F32", "0,9223372036854775808", "0,0", 0), std::nullopt);
  EXPECT_EQ(one("U8", "18446744073709551608", "0,18446744073709551608", 4),
            Fault::kValidationOverflow);
}

TEST(Safetensors, RefusesBombsInBoundedMemory) {
  const auto bad = Fault::kInvalidHeaderDeserialization;
  EXPECT_EQ(fault_of_json(std::string(10'000'000, '[')), bad);
  EXPECT_EQ(fault_of_json("{\"a\":" + std::string(10'000'000, '[')), bad);
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "{\"a\":";
  EXPECT_EQ(fault_of_json(nested), bad);
  std::string ones = "1";
  for (int i = 0; i < 1'000'000; ++i) ones += ",1";
  EXPECT_EQ(fault_of_json(R"({"a":)" + entry("U8", ones, "0,1") + "}", 1), bad);
  std::string many = "{";
  for (int i = 0; i < 300'000; ++i) {
    many += fmt::format("\"{}\":{},", i, entry("U8", "0", "0,0"));
  }
  EXPECT_EQ(fault_of_json(many + R"("z":)" + entry("U8", "1", "5,6") + "}", 6),
            Fault::kInvalidOffset);
}

// What a message repeats of a hostile name must neither flood nor command a terminal.
TEST(Safetensors, MessagesAreSafeToPrint) {
  for (const std::string& name : {std::string(1 << 20, 'n'), std::string("\\u001b]0;owned\\u0007"),
                                  std::string("../../x"), std::string("nul\\u0000")}) {
    try {
      read_header(file_of(fmt::format("{{\"{}\":{}}}", name, entry("U8", "1", "1,2")), 2));
      ADD_FAILURE() << "accepted";
    } catch (const SafetensorsError& error) {
      const std::string text = error.what();
      EXPECT_LT(text.size(), 1000U);
      for (const char symbol : text) EXPECT_TRUE(symbol >= 0x20 && symbol < 0x7f);
    }
  }
}

TEST(Safetensors, RandomDamageNeverCrashes) {
  std::mt19937 random(20'240'229);
  const std::string header =
      make_safetensors_header({{"aa", DataType::kI64, {3}}, {"bb", DataType::kF32, {2, 5}}},
                              {{"format", "pt"}})
          .substr(8);
  const std::uint64_t file_bytes = 8 + header.size() + 24 + 40;
  EXPECT_NO_THROW(parse_safetensors_header(header, file_bytes, "x"));
  int refused = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string damaged = header;
    const int flips = 1 + static_cast<int>(random() % 4);
    for (int flip = 0; flip < flips; ++flip) {
      damaged[random() % header.size()] = static_cast<char>(random());
    }
    if (round % 3 == 0) damaged.resize(random() % damaged.size());
    try {
      // A changed letter in a name or in metadata is still a valid file.
      const SafetensorsHeader read = parse_safetensors_header(damaged, file_bytes, "x");
      EXPECT_LE(read.tensors.size(), 2U);
    } catch (const SafetensorsError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 15'000);
}

TEST(Safetensors, RefusesWhatIsNoRegularFile) {
  const TemporaryFolder temporary;
  write_bytes(temporary.path() / "real", file_of("{}", 0));
  std::filesystem::create_symlink("real", temporary.path() / "link");
  std::filesystem::create_directory(temporary.path() / "folder");
  ASSERT_EQ(mkfifo((temporary.path() / "fifo").c_str(), 0600), 0);
  const Directory folder = Directory::open(FileSystem::posix(), temporary.path());
  EXPECT_NO_THROW(static_cast<void>(folder.open_file("real")));
  for (const char* name : {"link", "folder", "fifo", "missing", "../real", "", ".", "a/b"}) {
    EXPECT_THROW(static_cast<void>(folder.open_file(name)), CheckpointError) << name;
  }
}

TEST(ContentHash, IsXxh3AndHasOneSpelling) {
  // XXH3-128 of nothing, as the xxHash reference prints it (xxhsum -H2 /dev/null).
  EXPECT_EQ(content_hash(std::string_view()).hex(), "99aa06d3014798d86001c324468d497f");
  const ContentHash hash = content_hash(std::string_view("checkpoint"));
  EXPECT_EQ(parse_content_hash(hash.hex()), hash);
  EXPECT_EQ(parse_content_hash("99AA06D3014798D86001C324468D497F"), std::nullopt);
  EXPECT_EQ(parse_content_hash("99aa06d3014798d86001c324468d497"), std::nullopt);
  EXPECT_EQ(parse_content_hash("+9aa06d3014798d86001c324468d497f"), std::nullopt);
  EXPECT_EQ(parse_content_hash("99aa06d3014798d86001c324468d497g"), std::nullopt);
}

}  // namespace
}  // namespace sbm::distributed::checkpoint
