#include "data/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "base/error.h"
#include "data/dataset.h"
#include "data/dataset_index.h"
#include "data/mapped_file.h"
#include "data/shard_reader.h"

namespace sbm::data {
namespace {

// A shard that is wrong throughout shall not bury everything else.
constexpr std::size_t kMaxSampleProblems = 100;

class Verification {
 public:
  explicit Verification(const std::filesystem::path& folder) : folder_(folder) {}

  VerifyReport run() {
    collect([this] {
      const LoadedIndex loaded = read_index(folder_);
      index_ = loaded.index;
      readable_ = true;
      count_file(folder_ / kIndexFile);
    });
    if (!readable_) return report_;
    collect([this] { check_text(); });
    for (const Split& split : index_.splits()) check_split(split);
    check_superfluous();
    return report_;
  }

 private:
  template <typename Check>
  bool collect(const Check& check) {
    try {
      check();
      return true;
    } catch (const DataError& error) {
      report_.problems.emplace_back(error.what());
      return false;
    }
  }

  void count_file(const std::filesystem::path& path) {
    report_.bytes += MappedFile(path).bytes().size();
    ++report_.files;
  }

  void check_text() {
    const MappedFile file(folder_ / kIndexTextFile);
    const std::string expected = index_text(index_);
    const std::string_view found(reinterpret_cast<const char*>(file.bytes().data()),
                                 file.bytes().size());
    if (found != expected) {
      throw DataError(file.path().string() +
                      ": expected the text form of the index, found another");
    }
    count_file(folder_ / kIndexTextFile);
  }

  void check_split(const Split& split) {
    const std::size_t before = report_.problems.size();
    for (const Shard& shard : split.shards()) {
      collect([&] {
        const ShardReader reader = open_shard(folder_, index_, split, shard);
        for (std::string& problem : reader.problems()) {
          report_.problems.push_back(std::move(problem));
        }
        count_file(reader.path());
      });
    }
    if (report_.problems.size() == before) check_samples(split);
  }

  void check_samples(const Split& split) {
    const Dataset dataset = Dataset::open(folder_, split.name());
    const std::size_t before = report_.problems.size();
    std::uint64_t tokens = 0;
    std::uint64_t longest = 0;
    for (std::uint64_t id = 0; id < dataset.size(); ++id) {
      collect([&] {
        const auto length = static_cast<std::uint64_t>(dataset.sample(id).length());
        tokens += length;
        longest = std::max(longest, length);
        ++report_.samples;
      });
      if (report_.problems.size() - before >= kMaxSampleProblems) {
        report_.problems.push_back(
            fmt::format("split {}: not checked beyond sample {}", split.name(), id));
        return;
      }
    }
    if (report_.problems.size() == before &&
        (tokens != split.tokens() || longest != split.longest())) {
      report_.problems.push_back(fmt::format(
          "split {}: the index expects {} tokens, {} in the longest sample; found {}, {}",
          split.name(), split.tokens(), split.longest(), tokens, longest));
    }
  }

  void check_superfluous() {
    std::set<std::filesystem::path> known = {kIndexFile, kIndexTextFile};
    for (const Split& split : index_.splits()) {
      known.insert(split.name());
      for (const Shard& shard : split.shards()) known.insert(shard.file());
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      if (!known.contains(entry.path().lexically_relative(folder_))) {
        report_.problems.push_back(entry.path().string() + ": does not belong to the data set");
      }
    }
  }

  const std::filesystem::path& folder_;
  DatasetIndex index_;
  bool readable_ = false;
  VerifyReport report_;
};

}  // namespace

VerifyReport verify_dataset(const std::filesystem::path& folder) {
  return Verification(folder).run();
}

}  // namespace sbm::data
