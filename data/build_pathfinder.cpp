#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
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

// All good rows of the metadata with their places: about 200 bytes an image.
struct Listing {
  struct Entry {
    std::string image;
    std::int32_t label = 0;
    std::uint32_t file = 0;  ///< of the metadata
    std::uint64_t line = 0;
    std::uint64_t position = 0;  ///< among all rows, bad ones counted
  };
  std::vector<std::string> metadata;
  std::vector<Entry> entries;
  std::uint64_t rows = 0;
};

// An image that is listed twice would stand in two splits: only its first row is good.
void refuse_repeated(const std::filesystem::path& folder, Listing& listing, const BadRow& bad) {
  std::vector<Listing::Entry*> sorted;
  sorted.reserve(listing.entries.size());
  for (Listing::Entry& entry : listing.entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return std::tie(a->image, a->position) < std::tie(b->image, b->position);
  });
  std::vector<std::pair<Listing::Entry*, const Listing::Entry*>> repeated;
  const Listing::Entry* first = nullptr;
  for (Listing::Entry* entry : sorted) {
    if (first != nullptr && first->image == entry->image) {
      repeated.emplace_back(entry, first);
    } else {
      first = entry;
    }
  }
  std::sort(repeated.begin(), repeated.end());
  for (const auto& [entry, earlier] : repeated) {
    bad(folder / listing.metadata[entry->file], entry->line,
        fmt::format("expected each image once, found {} again, first in {}:{}", entry->image,
                    listing.metadata[earlier->file], earlier->line));
    entry->image.clear();
  }
  std::erase_if(listing.entries, [](const Listing::Entry& entry) { return entry.image.empty(); });
}

Listing list_images(const std::filesystem::path& folder, const BadRow& bad) {
  Listing listing{.metadata = list_pathfinder_metadata(folder), .entries = {}, .rows = 0};
  for (std::uint32_t file = 0; file < listing.metadata.size(); ++file) {
    read_pathfinder_metadata(
        folder / listing.metadata[file],
        [&](std::uint64_t line, const PathfinderRow& row) {
          listing.entries.push_back({.image = row.image,
                                     .label = row.label,
                                     .file = file,
                                     .line = line,
                                     .position = listing.rows++});
        },
        [&](const std::filesystem::path& path, std::uint64_t line, const std::string& reason) {
          bad(path, line, reason);
          ++listing.rows;
        });
  }
  refuse_repeated(folder, listing, bad);
  return listing;
}

std::vector<std::string> take_images(Listing listing) {
  std::vector<std::string> images;
  images.reserve(listing.entries.size());
  for (Listing::Entry& entry : listing.entries) images.push_back(std::move(entry.image));
  return images;
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
  recipe.generator = "pathfinder files 2";
  recipe.parameters.emplace_back("level", pathfinder_folder(p.level));
  recipe.parameters.emplace_back("split", "80/10/10 by position in the metadata");
  const std::filesystem::path folder = folder_of(request);
  // What is wrong with a row is said when it is read for its sample.
  Listing listing =
      list_images(folder, [](const std::filesystem::path&, std::uint64_t, const std::string&) {});
  const int threads = thread_count(request);
  recipe.sources.push_back(describe_source_files("metadata", folder, listing.metadata, threads));
  recipe.sources.push_back(
      describe_source_files("imgs", folder, take_images(std::move(listing)), threads));
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
    std::uint64_t placed = 0;
    OrderedBlocks<ImageBlock>::run(
        threads, [this](std::uint64_t block) { return read_block(block); },
        [&](const ImageBlock& block) {
          for (const ImageBlock::Image& image : block.images)
            place(listing_.entries[placed++], image);
          return placed < count;
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

  void place(const Listing::Entry& entry, const ImageBlock::Image& image) {
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
    // Tenths by position, as published: 80 % train, 10 % validation, 10 % test. What is left out
    // keeps its position, so it moves no other image to another split.
    const std::uint64_t tenth = entry.position * 10 / listing_.rows;
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
