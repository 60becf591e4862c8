#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trainer/config.pb.h"

// The configuration as a tree of named fields, walked by reflection, so that a field added to
// config.proto is known to overrides, resolved texts and comparisons at once.
namespace sbm::trainer {

/// One scalar field: its dotted path and its value as protobuf text writes it.
struct FieldValue {
  std::string path;
  std::string value;
};

/// Sets the field at `path` ("model.attention.law") to `value`, parsed by the field's type. Returns
/// what was wrong (naming path, what was expected and what was found), or nothing.
std::string set_field(Config& config, std::string_view path, std::string_view value);

/// Writes every field that still has its default down as if it had been given.
void make_defaults_explicit(Config& config);

/// Every scalar field in the order of config.proto, defaults included.
std::vector<FieldValue> list_fields(const Config& config);

/// The dotted path of the message type `full_name` ("sbm.trainer.Model") within Config, ending in
/// a dot; empty for Config itself and for strangers.
std::string message_path(std::string_view full_name);

/// Names of the fields of the message type `full_name`; empty when Config has no such message.
std::vector<std::string> field_names(std::string_view full_name);

/// Values of the enum field called `field`, wherever in Config it is; empty when there is none.
std::vector<std::string> enum_values(std::string_view field);

}  // namespace sbm::trainer
