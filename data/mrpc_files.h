#pragma once

#include <filesystem>

namespace sbm::data {

/// The two files of the paraphrase corpus as SentEval distributes them, and the ids of GLUE's
/// development set.
constexpr char kMrpcTrainFile[] = "msr_paraphrase_train.txt";
constexpr char kMrpcTestFile[] = "msr_paraphrase_test.txt";
constexpr char kMrpcDevIdsFile[] = "mrpc_dev_ids.tsv";

/// Makes train.tsv, dev.tsv and test.tsv of `folder` from the three files above, byte for byte as
/// GLUE's own script (nyu-mll/GLUE-baselines, download_glue_data.py) does: dev.tsv has the rows of
/// the training file whose ids are listed, test.tsv numbers instead of labels. Throws DataError
/// "file:line" on a row with another number of fields, and when a listed pair of ids is missing.
void arrange_mrpc(const std::filesystem::path& folder);

}  // namespace sbm::data
