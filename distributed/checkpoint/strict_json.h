#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/content_hash.h"

// JSON that may come from an enemy: what the library lets pass by default is refused here.
namespace sbm::distributed::checkpoint {

/// Bounds that hold before the memory is spent.
struct JsonLimits {
  std::size_t depth = 8;
  std::size_t values = 500'000;  ///< strings, numbers, objects and arrays together
};

/// Parses UTF-8 JSON. Throws CheckpointError, naming `path`, on bad syntax, duplicate keys, raw NUL
/// bytes (the library takes them for the end), a byte order mark, numbers that are not integers of
/// 64 bits (the library would turn 2^64 into a float), and more than `limits`.
nlohmann::json parse_strict_json(std::string_view text, const std::string& path,
                                 const JsonLimits& limits = {});

/// The inverse of ContentHash::hex(); nothing when `text` is anything else.
std::optional<ContentHash> parse_content_hash(std::string_view text);

/// Members of a strict object; each throws CheckpointError naming `path` and the key when the key
/// is missing or has another type (a negative number is not unsigned, whatever get<> would say).
const nlohmann::json& member(const nlohmann::json& object, const char* key,
                             const std::string& path);
std::string string_member(const nlohmann::json& object, const char* key, const std::string& path);
std::uint64_t unsigned_member(const nlohmann::json& object, const char* key,
                              const std::string& path);
ContentHash hash_member(const nlohmann::json& object, const char* key, const std::string& path);

/// `object` as text with sorted keys and fixed layout, closed by a last member "seal": the hash of
/// every byte before it. Throws CheckpointError when a string in it is not UTF-8.
std::string seal_json(const nlohmann::json& object, const std::string& path);

/// The object within, once the seal holds. Any changed byte throws CheckpointError.
nlohmann::json open_sealed_json(std::string_view text, const std::string& path);

}  // namespace sbm::distributed::checkpoint
