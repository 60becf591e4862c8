#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "data/glue_tasks.h"
#include "data/source_files.h"
#include "data/text_encoder.h"

namespace sbm::data {

/// A row of a GLUE file, encoded.
struct GlueRow {
  EncodedText text{};
  std::int32_t label = -1;  ///< class id; -1 without
  float score = 0;          ///< of STS-B
};

/// Labels that stand in another file than the texts: by the fields 1 and 2 of a row, with a TAB
/// between.
struct GlueGoldLabel {
  std::string label;
  std::uint64_t line = 0;  ///< where it stands
};
using GlueGold = std::unordered_map<std::string, GlueGoldLabel>;

/// The test labels of MRPC from Microsoft's original file, msr_paraphrase_test.txt. Throws
/// DataError on another header, a wrong number of fields, more than 16 MiB, and on two rows that
/// give the same ids different labels.
GlueGold read_mrpc_gold(const std::filesystem::path& path);

/// Reads the rows of `folder`/`file.name` on some threads and hands them to `take` in order. A row
/// with another number of fields, an unknown label or a wrong row number goes to `bad`, and, in a
/// file without labels, to `take` with empty texts: the server wants an answer for each row, at its
/// place. `gold` makes a labelled file of a test file, where a row without its label is left out as
/// in every labelled one; it gives the labels of a file without a label column; may be null. Throws
/// DataError when the header is another one or there are no rows.
void read_glue(const std::filesystem::path& folder, const GlueTask& task, const GlueFile& file,
               const TextEncoder& encoder, const GlueGold* gold, int threads,
               const std::function<void(GlueRow&)>& take, const BadRow& bad);

}  // namespace sbm::data
