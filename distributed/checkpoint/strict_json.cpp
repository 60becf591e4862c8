#include "distributed/checkpoint/strict_json.h"

#include <fmt/format.h>

#include <charconv>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "distributed/checkpoint/printable.h"

namespace sbm::distributed::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSealBegin = ",\n \"seal\": \"";
constexpr std::string_view kSealEnd = "\"\n}\n";
constexpr std::size_t kHashDigits = 32;

// Watches the parser and stops it at the first thing that must not be there.
class Guard {
 public:
  Guard(const std::string& path, const JsonLimits& limits) : path_(path), limits_(limits) {}

  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
        enter(depth);
        keys_.emplace_back();
        break;
      case Json::parse_event_t::array_start:
        enter(depth);
        break;
      case Json::parse_event_t::object_end:
        keys_.pop_back();
        break;
      case Json::parse_event_t::key:
        if (!keys_.back().insert(parsed.get_ref<const std::string&>()).second) {
          refuse("duplicate key " + printable(parsed.get_ref<const std::string&>()));
        }
        break;
      case Json::parse_event_t::value:
        count();
        if (parsed.is_number_float()) refuse("a number that is not an integer of 64 bits");
        break;
      case Json::parse_event_t::array_end:
        break;
    }
    return true;
  }

 private:
  void enter(int depth) {
    count();
    if (static_cast<std::size_t>(depth) >= limits_.depth) {
      refuse(fmt::format("nesting deeper than {}", limits_.depth));
    }
  }
  void count() {
    if (++values_ > limits_.values) refuse(fmt::format("more than {} values", limits_.values));
  }
  [[noreturn]] void refuse(const std::string& what) const {
    throw CheckpointError(path_ + ": " + what);
  }

  const std::string& path_;
  const JsonLimits& limits_;
  std::vector<std::set<std::string>> keys_;
  std::size_t values_ = 0;
};

}  // namespace

Json parse_strict_json(std::string_view text, const std::string& path, const JsonLimits& limits) {
  if (text.find('\0') != std::string_view::npos) {
    throw CheckpointError(path + ": a NUL byte in JSON");
  }
  if (text.starts_with("\xEF\xBB\xBF")) {
    throw CheckpointError(path + ": a byte order mark before JSON");
  }
  Guard guard(path, limits);
  try {
    return Json::parse(text, std::ref(guard));
  } catch (const Json::exception& error) {
    throw CheckpointError(path + ": not valid JSON: " + printable(error.what()));
  }
}

const Json& member(const Json& object, const char* key, const std::string& path) {
  if (!object.is_object()) {
    throw CheckpointError(fmt::format("{}: expected an object with \"{}\"", path, key));
  }
  const auto found = object.find(key);
  if (found == object.end()) throw CheckpointError(fmt::format("{}: \"{}\" is missing", path, key));
  return *found;
}

std::string string_member(const Json& object, const char* key, const std::string& path) {
  const Json& value = member(object, key, path);
  if (!value.is_string()) {
    throw CheckpointError(fmt::format("{}: \"{}\" is not a string", path, key));
  }
  return value.get<std::string>();
}

std::uint64_t unsigned_member(const Json& object, const char* key, const std::string& path) {
  const Json& value = member(object, key, path);
  if (!value.is_number_unsigned()) {
    throw CheckpointError(fmt::format("{}: \"{}\" is not an unsigned integer", path, key));
  }
  return value.get<std::uint64_t>();
}

std::optional<ContentHash> parse_content_hash(std::string_view text) {
  if (text.size() != kHashDigits) return std::nullopt;
  const auto word = [](std::string_view digits) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + 16, value, 16);
    if (error != std::errc() || end != digits.data() + 16) return std::nullopt;
    return value;
  };
  const auto high = word(text.substr(0, 16));
  const auto low = word(text.substr(16));
  if (!high || !low) return std::nullopt;
  const ContentHash hash{*high, *low};
  // One spelling for one hash: capitals are refused, so a manifest has one form only.
  if (hash.hex() != text) return std::nullopt;
  return hash;
}

ContentHash hash_member(const Json& object, const char* key, const std::string& path) {
  const auto hash = parse_content_hash(string_member(object, key, path));
  if (!hash) {
    throw CheckpointError(
        fmt::format("{}: \"{}\" is not a hash of 32 hexadecimal digits", path, key));
  }
  return *hash;
}

std::string seal_json(const Json& object, const std::string& path) {
  std::string text;
  try {
    text = object.dump(1);
  } catch (const Json::exception& error) {
    throw CheckpointError(path + ": cannot be written as JSON: " + printable(error.what()));
  }
  text.resize(text.size() - 2);  // the closing "\n}" goes behind the seal
  const std::string hash = content_hash(std::string_view(text)).hex();
  text += kSealBegin;
  text += hash;
  text += kSealEnd;
  return text;
}

Json open_sealed_json(std::string_view text, const std::string& path) {
  constexpr std::size_t kTail = kSealBegin.size() + kHashDigits + kSealEnd.size();
  if (text.size() < kTail || !text.ends_with(kSealEnd) ||
      text.substr(text.size() - kTail, kSealBegin.size()) != kSealBegin) {
    throw CheckpointError(path + ": does not end in its seal: cut short or damaged");
  }
  const std::string_view body = text.substr(0, text.size() - kTail);
  const std::string_view seal = text.substr(body.size() + kSealBegin.size(), kHashDigits);
  const std::string found = content_hash(body).hex();
  if (found != seal) {
    throw CheckpointError(fmt::format("{}: its bytes hash to {}, its seal says {}: damaged", path,
                                      found, printable(seal)));
  }
  Json object = parse_strict_json(text, path);
  object.erase("seal");
  return object;
}

}  // namespace sbm::distributed::checkpoint
