#include "data/glue_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "data/mapped_file.h"
#include "data/parallel_lines.h"
#include "data/text_lines.h"

namespace sbm::data {
namespace {

// What is wrong with a row; never leaves this file.
struct BadField {
  std::string reason;
};

// The published one has 440 KB; all of it is held.
constexpr std::size_t kMaxGoldBytes = std::size_t{16} << 20;
constexpr std::string_view kGoldHeader = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String";

constexpr std::size_t kMaxFields = 16;  // MNLI's development files have the most

// The first fields of a line and how many it has. Quotes mean nothing in these files: a reader that
// honours them loses rows.
struct Fields {
  explicit Fields(std::string_view line) : count(split_fields(line, '\t', text)) {}

  std::array<std::string_view, kMaxFields> text;
  std::size_t count;
};

std::string_view field(const Fields& fields, const GlueColumn& column) {
  return fields.text[static_cast<std::size_t>(column.index)];
}

Fields split_checked(std::string_view line, int expected) {
  Fields fields(line);
  if (fields.count != static_cast<std::size_t>(expected)) {
    throw BadField{fmt::format("expected {} fields, found {}", expected, fields.count)};
  }
  return fields;
}

float parse_score(std::string_view text) {
  float score = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), score);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(score >= 0 && score <= kMaxGlueScore)) {
    throw BadField{
        fmt::format("expected a score from 0 to {}, found \"{}\"", kMaxGlueScore, excerpt(text))};
  }
  return score;
}

// A row before it is known whether its place is right.
struct ParsedRow {
  GlueRow row{};
  std::int64_t number = -1;  ///< what a test file says
  std::string problem{};
};

class RowParser {
 public:
  RowParser(const GlueTask& task, const GlueFile& file, const TextEncoder& encoder,
            const GlueGold* gold, std::string where)
      : task_(task), file_(file), encoder_(encoder), gold_(gold), where_(std::move(where)) {}

  [[nodiscard]] ParsedRow parse(std::string_view line, bool first) const {
    ParsedRow parsed;
    if (first && file_.has_header) {
      check_header(line);
      return parsed;
    }
    try {
      parse_fields(split_checked(line, file_.fields), parsed);
    } catch (const BadField& bad) {
      parsed.problem = bad.reason;
    }
    return parsed;
  }

 private:
  void check_header(std::string_view line) const {
    const Fields fields(line);
    const auto fail = [&](const std::string& reason) {
      throw DataError(fmt::format("{}:1: {}", where_, reason));
    };
    if (fields.count != static_cast<std::size_t>(file_.fields)) {
      fail(fmt::format("expected a header of {} fields, found {}", file_.fields, fields.count));
    }
    for (const GlueColumn& column : {file_.first, file_.second, file_.label, file_.row}) {
      if (column.index >= 0 && field(fields, column) != column.header) {
        fail(fmt::format("expected a header whose field {} is \"{}\", found \"{}\"",
                         column.index + 1, column.header, excerpt(field(fields, column))));
      }
    }
  }

  void parse_fields(const Fields& fields, ParsedRow& parsed) const {
    if (file_.row.index >= 0) {
      const std::string_view text = field(fields, file_.row);
      const auto [end, error] =
          std::from_chars(text.data(), text.data() + text.size(), parsed.number);
      if (error != std::errc() || end != text.data() + text.size() || parsed.number < 0) {
        throw BadField{fmt::format("expected the row's number, found \"{}\"", excerpt(text))};
      }
    }
    if (file_.label.index >= 0) {
      parse_label(field(fields, file_.label), parsed.row);
    } else if (gold_ != nullptr) {
      const std::string_view first = fields.text[1];
      const std::string_view second = fields.text[2];
      const auto found = gold_->find(fmt::format("{}\t{}", first, second));
      if (found == gold_->end()) {
        throw BadField{fmt::format("expected ids that have a label, found \"{}\" and \"{}\"",
                                   excerpt(first), excerpt(second))};
      }
      parse_label(found->second.label, parsed.row);
    }
    parsed.row.text = task_.pairs()
                          ? encoder_.pair(field(fields, file_.first), field(fields, file_.second))
                          : encoder_.single(field(fields, file_.first));
  }

  void parse_label(std::string_view text, GlueRow& row) const {
    if (task_.label_kind == LabelKind::kScore) {
      row.score = parse_score(text);
      return;
    }
    const auto found = std::find(task_.labels.begin(), task_.labels.end(), text);
    if (found == task_.labels.end()) {
      throw BadField{fmt::format("expected a label among {}, found \"{}\"",
                                 fmt::join(task_.labels, ", "), excerpt(text))};
    }
    row.label = static_cast<std::int32_t>(found - task_.labels.begin());
  }

  const GlueTask& task_;
  const GlueFile& file_;
  const TextEncoder& encoder_;
  const GlueGold* gold_;
  std::string where_;
};

}  // namespace

GlueGold read_mrpc_gold(const std::filesystem::path& path) {
  const MappedFile file(path);
  if (file.bytes().size() > kMaxGoldBytes) {
    throw DataError(fmt::format("{}: expected at most {} bytes, found {}", path.string(),
                                kMaxGoldBytes, file.bytes().size()));
  }
  std::string_view rest = as_text(file);
  drop_byte_order_mark(rest);
  const std::string_view header = take_line(rest);
  if (header != kGoldHeader) {
    throw DataError(fmt::format("{}:1: expected the header \"{}\", found \"{}\"", path.string(),
                                "Quality<TAB>#1 ID<TAB>#2 ID<TAB>#1 String<TAB>#2 String",
                                excerpt(header)));
  }
  GlueGold gold;
  for (std::uint64_t line = 2; !rest.empty(); ++line) {
    const Fields fields(take_line(rest));
    const auto fail = [&](const std::string& reason) {
      throw DataError(fmt::format("{}:{}: {}", path.string(), line, reason));
    };
    if (fields.count != 5) fail(fmt::format("expected 5 fields, found {}", fields.count));
    const auto [entry, added] =
        gold.try_emplace(fmt::format("{}\t{}", fields.text[1], fields.text[2]),
                         GlueGoldLabel{.label = std::string(fields.text[0]), .line = line});
    if (!added && entry->second.label != fields.text[0]) {
      fail(fmt::format("expected the label \"{}\" that line {} gives the same ids, found \"{}\"",
                       excerpt(entry->second.label), entry->second.line, excerpt(fields.text[0])));
    }
  }
  return gold;
}

void read_glue(const std::filesystem::path& folder, const GlueTask& task, const GlueFile& file,
               const TextEncoder& encoder, const GlueGold* gold, int threads,
               const std::function<void(GlueRow&)>& take, const BadRow& bad) {
  const MappedFile mapped(folder / file.name);
  const RowParser parser(task, file, encoder, gold, mapped.path().string());
  const bool keeps_places = file.row.index >= 0 && gold == nullptr;
  std::int64_t rows = 0;
  for_each_line<ParsedRow>(
      mapped, {.threads = threads},
      [&parser](std::string_view line, bool first) { return parser.parse(line, first); },
      [&](std::uint64_t line, ParsedRow& parsed) {
        if (line == 1 && file.has_header) return;
        const std::int64_t place = rows++;
        if (parsed.problem.empty() && file.row.index >= 0 && parsed.number != place) {
          parsed.problem = fmt::format("expected row number {}, found {}", place, parsed.number);
        }
        if (!parsed.problem.empty()) {
          bad(mapped.path(), line, parsed.problem);
          if (!keeps_places) return;
          parsed.row.text = task.pairs() ? encoder.pair({}, {}) : encoder.single({});
        }
        take(parsed.row);
      });
  if (rows == 0) {
    throw DataError(fmt::format("{}: expected rows, found none", mapped.path().string()));
  }
}

}  // namespace sbm::data
