#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "data/recipe.h"

namespace sbm::data {

/// Told about a row of a source file that cannot be used; line 0 means the whole file. May throw to
/// give up.
using BadRow =
    std::function<void(const std::filesystem::path& file, std::uint64_t line, const std::string&)>;

/// Size and hash of the file `name` in `folder`, for a recipe. Throws DataError.
SourceDescription describe_source_file(const std::filesystem::path& folder,
                                       const std::string& name);

/// The files *.txt of root/subfolder as "subfolder/name", by the number their names begin with and
/// then by name, files without a number last. `subfolder` may be empty. Throws DataError.
std::vector<std::string> list_text_files(const std::filesystem::path& root,
                                         const std::string& subfolder);

/// Many small files as one source, called `title`: the sum of their sizes, and the hash of their
/// hashes in the given order. A file that is missing counts as an empty one: whoever reads it will
/// say so. Does not depend on `threads`. Throws DataError when a file cannot be read.
SourceDescription describe_source_files(const std::string& title,
                                        const std::filesystem::path& folder,
                                        const std::vector<std::string>& names, int threads);

/// The first of source/subfolder that has an entry `marker`: archives unpack with or without their
/// top folder. Throws DataError that says where the marker was looked for.
std::filesystem::path find_source_folder(const std::filesystem::path& source,
                                         std::initializer_list<const char*> subfolders,
                                         const std::string& marker);

}  // namespace sbm::data
