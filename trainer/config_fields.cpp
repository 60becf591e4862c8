#include "trainer/config_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include <charconv>
#include <functional>
#include <optional>
#include <system_error>

#include "trainer/nearest_name.h"

namespace sbm::trainer {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::vector<std::string> names_of_fields(const Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  return names;
}

std::vector<std::string> names_of_values(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) names.push_back(type.value(i)->name());
  return names;
}

bool is_message(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

/// Calls visit(type, path of the type) for Config and every message within it.
void visit_types(const Descriptor& type, const std::string& path,
                 const std::function<void(const Descriptor&, const std::string&)>& visit) {
  visit(type, path);
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (is_message(field)) visit_types(*field.message_type(), path + field.name() + ".", visit);
  }
}

/// Calls visit(message, field, path of the field) for every scalar field below `message`. A
/// message that is not there is visited as its default.
void visit_scalars(
    const Message& message, const std::string& path,
    const std::function<void(const Message&, const FieldDescriptor&, const std::string&)>& visit) {
  const Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (is_message(field)) {
      visit_scalars(message.GetReflection()->GetMessage(message, &field), path + field.name() + ".",
                    visit);
    } else {
      visit(message, field, path + field.name());
    }
  }
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string wrong_value(std::string_view path, std::string_view expected, std::string_view found) {
  return std::string(path) + ": expected " + std::string(expected) + ", found \"" +
         std::string(found) + "\"";
}

template <typename Number>
std::string set_integer(Message& message, const FieldDescriptor& field, std::string_view path,
                        std::string_view value,
                        void (Reflection::*set)(Message*, const FieldDescriptor*, Number) const) {
  const std::optional<Number> number = parse_number<Number>(value);
  if (!number) {
    const std::string_view sign =
        std::is_unsigned_v<Number> ? "a whole number from 0 on of " : "a whole number of ";
    return wrong_value(path, std::string(sign) + std::to_string(sizeof(Number) * 8) + " bits",
                       value);
  }
  (message.GetReflection()->*set)(&message, &field, *number);
  return {};
}

std::string set_scalar(Message& message, const FieldDescriptor& field, std::string_view path,
                       std::string_view value) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return set_integer<std::int32_t>(message, field, path, value, &Reflection::SetInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return set_integer<std::int64_t>(message, field, path, value, &Reflection::SetInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return set_integer<std::uint32_t>(message, field, path, value, &Reflection::SetUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return set_integer<std::uint64_t>(message, field, path, value, &Reflection::SetUInt64);
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const std::optional<double> number = parse_number<double>(value);
      if (!number) return wrong_value(path, "a number", value);
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
        reflection.SetDouble(&message, &field, *number);
      } else {
        reflection.SetFloat(&message, &field, static_cast<float>(*number));
      }
      return {};
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (value != "true" && value != "false") return wrong_value(path, "true or false", value);
      reflection.SetBool(&message, &field, value == "true");
      return {};
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(&message, &field, std::string(value));
      return {};
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* chosen = field.enum_type()->FindValueByName(std::string(value));
      const std::vector<std::string> names = names_of_values(*field.enum_type());
      if (chosen == nullptr) {
        return wrong_value(path, list_names(names), value) + suggestion(value, names);
      }
      reflection.SetEnum(&message, &field, chosen);
      return {};
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return wrong_value(path, "the path of a single field", value);
}

void set_to_itself(Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(&message, &field, reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(&message, &field, reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.SetUInt32(&message, &field, reflection.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(&message, &field, reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.SetFloat(&message, &field, reflection.GetFloat(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(&message, &field, reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(&message, &field, reflection.GetBool(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(&message, &field, reflection.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnum(&message, &field, reflection.GetEnum(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return;
  }
}

void set_all_to_themselves(Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (is_message(field)) {
      set_all_to_themselves(*message.GetReflection()->MutableMessage(&message, &field));
    } else {
      set_to_itself(message, field);
    }
  }
}

}  // namespace

std::string set_field(Config& config, std::string_view path, std::string_view value) {
  Message* message = &config;
  std::string_view rest = path;
  std::string parent;
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string name(rest.substr(0, dot));
    const Descriptor& type = *message->GetDescriptor();
    const FieldDescriptor* field = type.FindFieldByName(name);
    if (field == nullptr) {
      const std::vector<std::string> names = names_of_fields(type);
      return std::string(path) + ": no such field; expected " + parent +
             (names.size() == 1 ? "" : "one of ") + list_names(names) + ", found \"" + name + "\"" +
             suggestion(name, names);
    }
    if (dot == std::string_view::npos) {
      if (!is_message(*field)) return set_scalar(*message, *field, path, value);
      return std::string(path) + ": expected the path of a single field, such as " +
             std::string(path) + "." + field->message_type()->field(0)->name() +
             ", found a group of fields";
    }
    if (!is_message(*field)) {
      return std::string(path) + ": \"" + name + "\" is a single field, nothing lies below it";
    }
    message = message->GetReflection()->MutableMessage(message, field);
    parent = "below \"" + std::string(path.substr(0, path.size() - rest.size() + dot)) + "\" ";
    rest.remove_prefix(dot + 1);
  }
}

void make_defaults_explicit(Config& config) { set_all_to_themselves(config); }

std::vector<FieldValue> list_fields(const Config& config) {
  std::vector<FieldValue> fields;
  visit_scalars(config, "",
                [&](const Message& message, const FieldDescriptor& field, const std::string& path) {
                  std::string value;
                  google::protobuf::TextFormat::PrintFieldValueToString(message, &field, -1,
                                                                        &value);
                  fields.push_back({path, value});
                });
  return fields;
}

std::string message_path(std::string_view full_name) {
  std::string found;
  visit_types(*Config::descriptor(), "", [&](const Descriptor& type, const std::string& path) {
    if (type.full_name() == full_name) found = path;
  });
  return found;
}

std::vector<std::string> field_names(std::string_view full_name) {
  std::vector<std::string> names;
  visit_types(*Config::descriptor(), "", [&](const Descriptor& type, const std::string&) {
    if (type.full_name() == full_name) names = names_of_fields(type);
  });
  return names;
}

std::vector<std::string> enum_values(std::string_view field) {
  std::vector<std::string> names;
  visit_types(*Config::descriptor(), "", [&](const Descriptor& type, const std::string&) {
    const FieldDescriptor* found = type.FindFieldByName(std::string(field));
    if (found != nullptr && found->enum_type() != nullptr) {
      names = names_of_values(*found->enum_type());
    }
  });
  return names;
}

}  // namespace sbm::trainer
