#pragma once

#include <filesystem>

namespace sbm::data {

/// A folder under construction beside its final place: it gets its name only by publish(), in one
/// step, so whoever finds the name finds the whole. Any number of processes may build the same
/// folder at once; one of them publishes. Not published, it is removed; what a killed process left
/// behind is removed by the next one that builds the same folder.
class BuildFolder {
 public:
  /// Creates the parents of `target`, an absolute path, and a locked hidden folder beside it.
  /// Throws DataError.
  explicit BuildFolder(std::filesystem::path target);
  ~BuildFolder();
  BuildFolder(const BuildFolder&) = delete;
  BuildFolder& operator=(const BuildFolder&) = delete;

  /// Where to build.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Gives the folder its final name. Returns false, changing nothing, when there is by now a
  /// folder of that name with something in it. Throws DataError when the system refuses.
  bool publish();

 private:
  void create();
  void remove_leftovers() const;

  std::filesystem::path target_;
  std::filesystem::path path_;
  int lock_ = -1;  ///< descriptor of the folder, exclusively locked while this process lives
};

}  // namespace sbm::data
