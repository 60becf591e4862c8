#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trainer/config.pb.h"

// Some parts of a configuration belong to some tasks alone.
namespace sbm::trainer {

/// Whether the field at `path` belongs to other tasks than `task`.
bool is_foreign_field(std::string_view task, std::string_view path);

/// Fields that belong to other tasks than the configuration's and have another value than their
/// default: whoever set them meant something that will not happen. "path: expected ..., found ...".
/// A field written out with its default, as resolved configurations have it, is none, nor are the
/// parameters of data that are built already, which no task reads.
std::vector<std::string> foreign_field_problems(const Config& config);

}  // namespace sbm::trainer
