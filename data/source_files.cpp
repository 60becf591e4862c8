#include "data/source_files.h"

#include <span>

#include "base/content_hash.h"
#include "data/mapped_file.h"

namespace sbm::data {

SourceDescription describe_source_file(const std::filesystem::path& folder,
                                       const std::string& name) {
  const MappedFile file(folder / name);
  return {.name = name,
          .bytes = file.bytes().size(),
          .xxh3_128 = content_hash(std::as_bytes(file.bytes())).hex()};
}

}  // namespace sbm::data
