#pragma once

#include <filesystem>
#include <string>

#include "data/recipe.h"

namespace sbm::data {

/// Size and hash of the file `name` in `folder`, for a recipe. Throws DataError.
SourceDescription describe_source_file(const std::filesystem::path& folder,
                                       const std::string& name);

}  // namespace sbm::data
