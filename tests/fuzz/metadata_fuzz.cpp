#include "base/error.h"
#include "data/pathfinder_files.h"
#include "tests/fuzz/target.h"

// A metadata file of released Pathfinder images.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sbm::fuzz;
  static InputFile file;
  file.set({data, size});
  try {
    sbm::data::read_pathfinder_metadata(
        file.path(),
        [](std::uint64_t line, const sbm::data::PathfinderRow& row) {
          require(line > 0 && (row.label == 0 || row.label == 1), "rows are whole");
          require(row.image.starts_with("imgs/") && row.image.ends_with(".png") &&
                      row.image.find("..") == std::string::npos,
                  "images lie in their folder");
        },
        [](const std::filesystem::path&, std::uint64_t line, const std::string& reason) {
          require(line > 0 && !reason.empty(), "a bad row has a place and a reason");
        });
  } catch (const sbm::DataError&) {
  }
  return 0;
}
