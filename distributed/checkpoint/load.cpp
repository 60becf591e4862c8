#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/checked.h"
#include "distributed/checkpoint/agreement.h"
#include "distributed/checkpoint/checkpoint.h"
#include "distributed/checkpoint/checkpoint_reader.h"
#include "distributed/checkpoint/printable.h"
#include "distributed/lasting_memory.h"

namespace sbm::distributed::checkpoint {
namespace {

// One flat buffer to be filled: the elements `held` of it are here.
struct Destination {
  std::string prefix;  // of the names in the checkpoint
  ElementRange held;
  std::span<float> values;
};

// Collects what does not fit, so that one run shows all of it.
class Differences {
 public:
  void add(const std::string& what) {
    constexpr int kShown = 1000;
    if (++count_ <= kShown) text_ += "\n  " + what;
  }
  void throw_if_any(const CheckpointReader& reader) const {
    if (count_ == 0) return;
    throw CheckpointError(fmt::format("{}: {} tensors do not fit this model:{}",
                                      reader.path().string(), count_, text_));
  }

 private:
  std::int64_t count_ = 0;
  std::string text_;
};

void check_tensors(const CheckpointReader& reader, const FlatLayout& layout,
                   const std::vector<Destination>& destinations) {
  const Manifest& manifest = reader.manifest();
  Differences differences;
  std::set<std::string> expected;
  for (const Destination& destination : destinations) {
    for (const FlatLayout::Entry& entry : layout.entries()) {
      const std::string name = destination.prefix + entry.spec.name;
      expected.insert(name);
      const std::vector<std::uint64_t> shape(entry.spec.shape.begin(), entry.spec.shape.end());
      const auto found = manifest.tensors.find(name);
      if (found == manifest.tensors.end()) {
        differences.add(fmt::format("missing: {} [{}]", printable(name), fmt::join(shape, ", ")));
      } else if (found->second.shape != shape || found->second.type != DataType::kF32) {
        differences.add(fmt::format("{}: expected F32 [{}], found {} [{}]", printable(name),
                                    fmt::join(shape, ", "), data_type_name(found->second.type),
                                    fmt::join(found->second.shape, ", ")));
      }
    }
  }
  const bool with_moments = destinations.size() > 1;
  for (const auto& [name, tensor] : manifest.tensors) {
    if (expected.contains(name) || (is_moment(name) && !with_moments)) continue;
    differences.add(
        fmt::format("unexpected: {} [{}]", printable(name), fmt::join(tensor.shape, ", ")));
  }
  differences.throw_if_any(reader);
}

void fill(CheckpointReader& reader, const FlatLayout& layout, const Destination& destination) {
  std::fill(destination.values.begin(), destination.values.end(), 0.0F);
  const auto values = std::as_writable_bytes(destination.values);
  for (const FlatLayout::Entry& entry : layout.entries()) {
    const std::int64_t begin = std::max(entry.range.begin, destination.held.begin);
    const std::int64_t end = std::min(entry.range.end, destination.held.end);
    if (begin >= end) continue;
    const auto bytes = [](std::int64_t elements) {
      return static_cast<std::uint64_t>(elements) * sizeof(float);
    };
    const std::uint64_t first = bytes(begin - entry.range.begin);
    const auto place = values.subspan(bytes(begin - destination.held.begin), bytes(end - begin));
    reader.read_tensor(destination.prefix + entry.spec.name, first, first + bytes(end - begin),
                       [&](std::uint64_t offset, std::span<const std::byte> part) {
                         std::memcpy(place.data() + (offset - first), part.data(), part.size());
                       });
  }
}

}  // namespace

Restored load(Communicator& communicator, const std::filesystem::path& folder,
              const FlatLayout& layout, std::span<float> weights, std::span<float> first_moment,
              std::span<float> second_moment, FileSystem& system) {
  const ElementRange shard = layout.shard(communicator.rank(), communicator.world_size());
  std::vector<Destination> destinations = {{"", {0, layout.size()}, weights}};
  // A rank without a shard has empty spans though the others load moments: only the size of all
  // shards together tells.
  LastingVector<std::int64_t> moments = {
      checked_cast<std::int64_t>(first_moment.size(), "moments")};
  communicator.all_reduce_sum(moments)->wait();
  if (moments[0] != 0) {
    destinations.push_back({std::string(kFirstMomentPrefix), shard, first_moment});
    destinations.push_back({std::string(kSecondMomentPrefix), shard, second_moment});
  }
  Restored restored;
  std::string identity;
  const std::string error = attempt([&] {
    for (const Destination& destination : destinations) {
      if (destination.values.size() != static_cast<std::size_t>(destination.held.size())) {
        throw InternalError(fmt::format("a buffer of {} floats for {}", destination.values.size(),
                                        destination.held.size()));
      }
    }
    CheckpointReader reader(Directory::open(system, folder));
    check_tensors(reader, layout, destinations);
    for (const Destination& destination : destinations) fill(reader, layout, destination);
    const Manifest& manifest = reader.manifest();
    restored = {manifest.step, reader.read_text(kTrainerStateName), manifest.configuration,
                manifest.data_fingerprint, manifest.sampler_version};
    identity = reader.identity().hex();
  });
  const std::string what = "checkpoint " + folder.string() + " was not loaded";
  agree(communicator, what, error);
  // Folders on the local disks of several hosts may bear one name and differ.
  agree_equal(communicator, what, "manifest", identity);
  return restored;
}

}  // namespace sbm::distributed::checkpoint
