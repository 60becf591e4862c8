#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/mapped_file.h"
#include "data/ordered_blocks.h"
#include "data/pathfinder_files.h"
#include "data/pathfinder_generator.h"
#include "data/pixel_tokens.h"
#include "data/png_image.h"
#include "data/task_builder.h"

// Pathfinder of the Long Range Arena, generated or from the released images. Path-X is the one of
// 128 pixels.
namespace sbm::data {
namespace {

constexpr std::size_t kTrain = 0;
constexpr std::size_t kValidation = 1;
constexpr std::size_t kTest = 2;

constexpr std::uint64_t kImagesPerBlock = 128;

// The release has one empty file.
constexpr int kEmptySide = 32;
constexpr std::string_view kEmptyImage = "imgs/0/sample_172.png";

int side_of(const BuildRequest& request) {
  constexpr std::string_view kPrefix = "lra/pathfinder";
  const char* end = request.task.data() + request.task.size();
  int side = 0;
  std::from_chars(request.task.data() + kPrefix.size(), end, side);
  return side;
}

std::filesystem::path folder_of(const BuildRequest& request) {
  const std::string level = pathfinder_folder(request.pathfinder.level);
  const std::string inner = fmt::format("pathfinder{}", side_of(request));
  const std::filesystem::path parent =
      find_source_folder(request.source, {"", inner.c_str()}, level + "/metadata");
  return parent / level;
}

// All rows of the metadata with their places: about 100 bytes an image.
struct Listing {
  struct Entry {
    std::string image;
    std::int32_t label = 0;
    std::uint32_t file = 0;  ///< of the metadata
    std::uint64_t line = 0;
  };
  std::vector<std::string> metadata;
  std::vector<Entry> entries;
};

Listing list_images(const std::filesystem::path& folder, const BadRow& bad) {
  Listing listing{.metadata = list_pathfinder_metadata(folder), .entries = {}};
  for (std::uint32_t file = 0; file < listing.metadata.size(); ++file) {
    read_pathfinder_metadata(
        folder / listing.metadata[file],
        [&](std::uint64_t line, const PathfinderRow& row) {
          listing.entries.push_back(
              {.image = row.image, .label = row.label, .file = file, .line = line});
        },
        bad);
  }
  return listing;
}

DatasetDescription describe_pathfinder(const BuildRequest& request) {
  const PathfinderParameters& p = request.pathfinder;
  const int side = side_of(request);
  DatasetDescription description{
      .recipe = {.task = request.task},
      .splits = standard_splits(),
      .label_kind = LabelKind::kClass,
      .label_names = {"unconnected", "connected"},
      .vocabulary_size = kPixelVocabulary,
  };
  DatasetRecipe& recipe = description.recipe;
  if (request.source.empty()) {
    check_pathfinder_parameters(p);
    recipe.generator = "pathfinder 1";
    recipe.parameters = sample_counts(p.train_samples, p.validation_samples, p.test_samples);
    recipe.parameters.emplace_back("side", std::to_string(side));
    recipe.parameters.emplace_back("contour_length", std::to_string(contour_length(p.level)));
    recipe.parameters.emplace_back("seed", std::to_string(request.seed));
    return description;
  }
  recipe.generator = "pathfinder files 1";
  recipe.parameters.emplace_back("level", pathfinder_folder(p.level));
  recipe.parameters.emplace_back("split", "80/10/10 by position in the metadata");
  const std::filesystem::path folder = folder_of(request);
  // What is wrong with a row is said when it is read for its sample.
  const Listing listing =
      list_images(folder, [](const std::filesystem::path&, std::uint64_t, const std::string&) {});
  const int threads = thread_count(request);
  recipe.sources.push_back(describe_source_files("metadata", folder, listing.metadata, threads));
  std::vector<std::string> images;
  images.reserve(listing.entries.size());
  for (const Listing::Entry& entry : listing.entries) images.push_back(entry.image);
  recipe.sources.push_back(describe_source_files("imgs", folder, images, threads));
  return description;
}

void generate(const BuildRequest& request, SampleSink& sink) {
  const PathfinderParameters& p = request.pathfinder;
  sink.expect(static_cast<std::uint64_t>(p.train_samples + p.validation_samples + p.test_samples));
  generate_pathfinder(side_of(request), p, request.seed, thread_count(request),
                      [&](std::size_t split, const PathfinderImage& image) {
                        sink.add(split, {.tokens8 = image.pixels, .label = image.label});
                      });
}

// The pixels of a block of images, or what is wrong with each.
struct ImageBlock {
  struct Image {
    std::vector<std::uint8_t> pixels;
    std::string problem;
    bool empty = false;  ///< the file has no bytes at all
  };
  std::vector<Image> images;
};

ImageBlock::Image read_image(const std::filesystem::path& path, int side) {
  ImageBlock::Image image;
  try {
    const MappedFile file(path);
    image.empty = file.bytes().empty();
    image.pixels = decode_grey_png(file.bytes(), side);
  } catch (const DataError& error) {
    image.problem = error.what();
  }
  return image;
}

// Places the rows that are left in order.
class ImageReader {
 public:
  ImageReader(const BuildRequest& request, SampleSink& sink)
      : side_(side_of(request)),
        level_(request.pathfinder.level),
        folder_(folder_of(request)),
        sink_(sink) {
    listing_ = list_images(
        folder_, [&sink](const std::filesystem::path& file, std::uint64_t line,
                         const std::string& reason) { sink.bad_row(file, line, reason); });
    if (listing_.entries.empty()) {
      throw DataError((folder_ / "metadata").string() + ": expected images, found none listed");
    }
  }

  void read(int threads) {
    const std::uint64_t count = listing_.entries.size();
    sink_.expect(count);
    std::uint64_t position = 0;
    OrderedBlocks<ImageBlock>::run(
        threads, [this](std::uint64_t block) { return read_block(block); },
        [&](const ImageBlock& block) {
          for (const ImageBlock::Image& image : block.images) place(position++, image);
          return position < count;
        });
  }

 private:
  [[nodiscard]] ImageBlock read_block(std::uint64_t block) const {
    ImageBlock result;
    const std::uint64_t count = listing_.entries.size();
    const std::uint64_t end = std::min(count, (block + 1) * kImagesPerBlock);
    for (std::uint64_t i = block * kImagesPerBlock; i < end; ++i) {
      result.images.push_back(read_image(folder_ / listing_.entries[i].image, side_));
    }
    return result;
  }

  void place(std::uint64_t position, const ImageBlock::Image& image) {
    const Listing::Entry& entry = listing_.entries[position];
    if (!image.problem.empty()) {
      const bool known = image.empty && side_ == kEmptySide && level_ == PathfinderLevel::kEasy &&
                         entry.image == kEmptyImage;
      if (known) {
        sink_.note(entry.image + " is empty, as in the release, and left out");
      } else {
        sink_.bad_row(folder_ / listing_.metadata[entry.file], entry.line,
                      fmt::format("{}: {}", entry.image, image.problem));
      }
      return;
    }
    // Tenths by position, as published: 80 % train, 10 % validation, 10 % test.
    const std::uint64_t tenth = position * 10 / listing_.entries.size();
    sink_.add(tenth < 8    ? kTrain
              : tenth == 8 ? kValidation
                           : kTest,
              {.tokens8 = image.pixels, .label = entry.label});
  }

  int side_;
  PathfinderLevel level_;
  std::filesystem::path folder_;
  SampleSink& sink_;
  Listing listing_;
};

void fill_pathfinder(const BuildRequest& request, SampleSink& sink) {
  if (request.source.empty()) return generate(request, sink);
  ImageReader(request, sink).read(thread_count(request));
}

constexpr TaskBuilder kBuilders[] = {
    {"lra/pathfinder32", describe_pathfinder, fill_pathfinder, true},
    {"lra/pathfinder64", describe_pathfinder, fill_pathfinder, true},
    {"lra/pathfinder128", describe_pathfinder, fill_pathfinder, true},
    {"lra/pathfinder256", describe_pathfinder, fill_pathfinder, true},
};

}  // namespace

std::span<const TaskBuilder> pathfinder_builders() { return kBuilders; }

}  // namespace sbm::data
