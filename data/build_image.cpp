#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/grey.h"
#include "data/mapped_file.h"
#include "data/pixel_tokens.h"
#include "data/source_files.h"
#include "data/task_builder.h"

// Image of the Long Range Arena: CIFAR-10 in grey, one token a pixel, row by row.
namespace sbm::data {
namespace {

constexpr std::size_t kTrain = 0;
constexpr std::size_t kValidation = 1;
constexpr std::size_t kTest = 2;

constexpr std::size_t kPixels = 32 * 32;
constexpr std::size_t kRecordBytes = 1 + 3 * kPixels;
constexpr std::uint64_t kOfficialRecords = 10000;

constexpr std::array<const char*, 5> kTrainFiles = {"data_batch_1.bin", "data_batch_2.bin",
                                                    "data_batch_3.bin", "data_batch_4.bin",
                                                    "data_batch_5.bin"};
constexpr const char* kTestFile = "test_batch.bin";

const std::vector<std::string>& class_names() {
  static const std::vector<std::string> names = {
      "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  return names;
}

std::filesystem::path folder_of(const BuildRequest& request) {
  return find_source_folder(request.source, {"", "cifar-10-batches-bin"}, kTrainFiles[0]);
}

DatasetDescription describe_image(const BuildRequest& request) {
  require_source(request);
  DatasetDescription description{
      .recipe = {.task = request.task, .generator = "cifar-10 grey 1"},
      .splits = standard_splits(),
      .label_kind = LabelKind::kClass,
      .label_names = class_names(),
      .vocabulary_size = kPixelVocabulary,
  };
  const std::filesystem::path folder = folder_of(request);
  for (const char* name : kTrainFiles) {
    description.recipe.sources.push_back(describe_source_file(folder, name));
  }
  description.recipe.sources.push_back(describe_source_file(folder, kTestFile));
  return description;
}

std::uint64_t record_count(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::uint64_t bytes = file.bytes().size();
  if (bytes == 0 || bytes % kRecordBytes != 0) {
    throw DataError(fmt::format(
        "{}: expected records of {} bytes, found {} bytes: {} beyond the last whole record",
        path.string(), kRecordBytes, bytes, bytes % kRecordBytes));
  }
  return bytes / kRecordBytes;
}

// Hands number and sample of each record to `take`.
template <typename Take>
void read_records(const std::filesystem::path& path, SampleSink& sink, const Take& take) {
  const MappedFile file(path);
  std::array<std::uint8_t, kPixels> grey{};
  for (std::uint64_t i = 0; i < file.bytes().size() / kRecordBytes; ++i) {
    const auto record = file.bytes().subspan(i * kRecordBytes, kRecordBytes);
    if (record[0] >= class_names().size()) {
      sink.bad_row(path, i + 1,  // a record is a row
                   fmt::format("byte {}: expected a label below {}, found {}", i * kRecordBytes,
                               class_names().size(), record[0]));
      continue;
    }
    for (std::size_t p = 0; p < kPixels; ++p) {
      grey[p] =
          tensorflow_grey(record[1 + p], record[1 + kPixels + p], record[1 + 2 * kPixels + p]);
    }
    take(i, SampleView{.tokens8 = grey, .label = record[0]});
  }
}

void fill_image(const BuildRequest& request, SampleSink& sink) {
  const std::filesystem::path folder = folder_of(request);
  std::uint64_t train = 0;
  const auto count = [&](const char* name) {
    const std::uint64_t records = record_count(folder / name);
    if (records != kOfficialRecords) {
      sink.note(
          fmt::format("{} has {} records, the official file {}", name, records, kOfficialRecords));
    }
    return records;
  };
  for (const char* name : kTrainFiles) train += count(name);
  sink.expect(train + count(kTestFile));
  // As published: the last tenth of train, by position.
  const std::uint64_t kept = train - train / 10;
  std::uint64_t position = 0;
  for (const char* name : kTrainFiles) {
    const std::uint64_t begin = position;
    position += record_count(folder / name);
    read_records(folder / name, sink, [&](std::uint64_t number, const SampleView& sample) {
      sink.add(begin + number < kept ? kTrain : kValidation, sample);
    });
  }
  read_records(folder / kTestFile, sink,
               [&](std::uint64_t, const SampleView& sample) { sink.add(kTest, sample); });
}

constexpr TaskBuilder kBuilders[] = {{"lra/image", describe_image, fill_image}};

}  // namespace

std::span<const TaskBuilder> image_builders() { return kBuilders; }

}  // namespace sbm::data
