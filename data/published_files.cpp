#include "data/published_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "data/build.h"

namespace sbm::data {
namespace {

// The file host of GLUE's authors. Sizes and SHA-256 are those that TensorFlow Datasets (glue) and
// Hugging Face Datasets (glue) publish for these addresses; MRPC's three were also compared with
// real copies.
#define SBM_GLUE "https://dl.fbaipublicfiles.com/glue/data/"

constexpr std::string_view kGlueLicence =
    "GLUE gives no licence of its own to its data: each set has that of its authors "
    "(gluebenchmark.com/faq).";

constexpr std::string_view kArenaLicence =
    "Long Range Arena: the release states no licence of the data. Of the ACL Anthology Network "
    "only "
    "labels and ids may be passed on, say its authors; ListOps is under the MIT licence of its "
    "generator's authors' repository (nyu-mll/spinn); Pathfinder's images are generated.";

PublishedSource glue(std::string_view task, PublishedFile archive, std::string_view licence) {
  return {.tasks = {task}, .files = {archive}, .licence = licence, .place = archive.folder};
}

// No checksum of the release was ever published.
PublishedSource arena(std::vector<std::string_view> tasks, std::string_view folder) {
  return {.tasks = std::move(tasks),
          .files = {{.name = "lra_release.gz",
                     .url = "https://storage.googleapis.com/long-range-arena/lra_release.gz",
                     .folder = folder}},
          .licence = kArenaLicence,
          .place = folder};
}

std::vector<PublishedSource> make_sources() {
  return {
      arena({"lra/listops"}, "listops-1000"),
      arena({"lra/retrieval"}, "tsv_data"),
      arena({"lra/pathfinder32"}, "pathfinder32"),
      arena({"lra/pathfinder64"}, "pathfinder64"),
      arena({"lra/pathfinder128"}, "pathfinder128"),
      arena({"lra/pathfinder256"}, "pathfinder256"),
      // The MD5 is the one that torchtext checks.
      {.tasks = {"lra/text", "pretrain/mlm"},
       .files = {{.name = "aclImdb_v1.tar.gz",
                  .url = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
                  .bytes = 84125825,
                  .md5 = "7c2ac02c03563afcf9b574c7e56c153a",
                  .folder = "aclImdb"}},
       .licence = "Large Movie Review Dataset: no licence is stated; its authors ask that papers "
                  "cite Maas et al., ACL 2011. The reviews are by users of IMDb.",
       .place = "aclImdb"},
      // The MD5 stands on the page of the data set.
      {.tasks = {"lra/image"},
       .files = {{.name = "cifar-10-binary.tar.gz",
                  .url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                  .bytes = 170052171,
                  .sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                  .md5 = "c32a1d4ab5d03f1284b67883e8d87530",
                  .folder = "cifar-10-batches-bin"}},
       .licence = "CIFAR-10: no licence is stated; its authors ask that papers cite Krizhevsky, "
                  "Learning Multiple Layers of Features from Tiny Images, 2009.",
       .place = "cifar-10-batches-bin"},
      glue("glue/cola",
           {.name = "CoLA.zip",
            .url = SBM_GLUE "CoLA.zip",
            .bytes = 376971,
            .sha256 = "f212fcd832b8f7b435fb991f101abf89f96b933ab400603bf198960dfc32cbff",
            .folder = "CoLA"},
           "CoLA: the sentences are taken from published books and articles on linguistics, whose "
           "owners keep their rights (nyu-mll.github.io/CoLA); for research."),
      glue("glue/sst-2",
           {.name = "SST-2.zip",
            .url = SBM_GLUE "SST-2.zip",
            .bytes = 7439277,
            .sha256 = "d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa",
            .folder = "SST-2"},
           kGlueLicence),
      {.tasks = {"glue/mrpc"},
       .files =
           {{.name = "MRPC/msr_paraphrase_train.txt",
             .url =
                 "https://dl.fbaipublicfiles.com/senteval/senteval_data/msr_paraphrase_train.txt",
             .bytes = 1047044,
             .sha256 = "60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89"},
            {.name = "MRPC/msr_paraphrase_test.txt",
             .url = "https://dl.fbaipublicfiles.com/senteval/senteval_data/msr_paraphrase_test.txt",
             .bytes = 441275,
             .sha256 = "a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784"},
            {.name = "MRPC/mrpc_dev_ids.tsv",
             .url = SBM_GLUE "mrpc_dev_ids.tsv",
             .bytes = 6222,
             .sha256 = "971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7"}},
       .licence =
           "MRPC: Microsoft Research Paraphrase Corpus, for research under Microsoft's terms "
           "(microsoft.com/download/details.aspx?id=52398), tokenised by SentEval.",
       .place = "MRPC",
       .is_mrpc = true},
      glue("glue/qqp",
           {.name = "QQP-clean.zip",
            .url = SBM_GLUE "QQP-clean.zip",
            .bytes = 41696084,
            .sha256 = "40e7c862c04eb26ee04b67fd900e76c45c6ba8e6d8fab4f8f1f8072a1a3fbae0",
            .folder = "QQP"},
           "QQP: Quora's terms of service hold (quora.com/about/tos): not for commercial use."),
      glue("glue/sts-b",
           {.name = "STS-B.zip",
            .url = SBM_GLUE "STS-B.zip",
            .bytes = 802872,
            .sha256 = "e60a6393de5a8b5b9bac5020a1554b54e3691f9d600b775bd131e613ac179c85",
            .folder = "STS-B"},
           kGlueLicence),
      glue("glue/mnli",
           {.name = "MNLI.zip",
            .url = SBM_GLUE "MNLI.zip",
            .bytes = 312783507,
            .sha256 = "e7c1d896d26ed6caf700110645df426cc2d8ebf02a5ab743d5a5c68ac1c83633",
            .folder = "MNLI"},
           "MNLI: most of it under the licence of the Open American National Corpus, fiction under "
           "others (cims.nyu.edu/~sbowman/multinli)."),
      glue("glue/qnli",
           {.name = "QNLIv2.zip",
            .url = SBM_GLUE "QNLIv2.zip",
            .bytes = 10627589,
            .sha256 = "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5",
            .folder = "QNLI"},
           "QNLI: made from SQuAD, which is under CC BY-SA 4.0."),
      glue("glue/rte",
           {.name = "RTE.zip",
            .url = SBM_GLUE "RTE.zip",
            .bytes = 697150,
            .sha256 = "6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee",
            .folder = "RTE"},
           kGlueLicence),
      glue("glue/wnli",
           {.name = "WNLI.zip",
            .url = SBM_GLUE "WNLI.zip",
            .bytes = 28999,
            .sha256 = "ae0e8e4d16f4d46d4a0a566ec7ecceccfd3fbfaa4a7a4b4e02848c0f2561ac46",
            .folder = "WNLI"},
           kGlueLicence),
      {.tasks = {"glue/ax"},
       .files = {{.name = "AX/diagnostic.tsv",
                  .url = SBM_GLUE "AX.tsv",
                  .bytes = 222257,
                  .sha256 = "0e13510b1bb14436ff7e2ee82338f0efb0133ecf2e73507a697dc210db3f05fd"}},
       .licence = kGlueLicence,
       .place = "AX"},
      // The first is pinned to a commit: the file of Google's archive, without its 400 MB of
      // weights. SHA-256 of the first compared with a real copy.
      {.tasks = {"bert/uncased"},
       .files = {{.name = "bert-uncased-vocab.txt",
                  .url = "https://huggingface.co/google-bert/bert-base-uncased/resolve/"
                         "86b5e0934494bd15c9632b12f734a8a67f723594/vocab.txt",
                  .bytes = 231508,
                  .sha256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"}},
       .licence = "BERT's vocabulary: Apache License 2.0 (google-research/bert).",
       .place = "bert-uncased-vocab.txt",
       .is_vocabulary = true},
      {.tasks = {"bert/cased"},
       .files = {{.name = "bert-cased-vocab.txt",
                  .url =
                      "https://huggingface.co/google-bert/bert-base-cased/resolve/main/vocab.txt",
                  .bytes = 213450,
                  .sha256 = "eeaa9875b23b04b4c54ef759d03db9d1ba1554838f8fb26c5d96fa551df93d02"}},
       .licence = "BERT's vocabulary: Apache License 2.0 (google-research/bert).",
       .place = "bert-cased-vocab.txt",
       .is_vocabulary = true},
  };
}

#undef SBM_GLUE

}  // namespace

const std::vector<PublishedSource>& published_sources() {
  static const std::vector<PublishedSource> sources = make_sources();
  return sources;
}

std::vector<std::string> downloadable_names() {
  std::vector<std::string> names;
  for (const PublishedSource& source : published_sources()) {
    names.insert(names.end(), source.tasks.begin(), source.tasks.end());
  }
  std::sort(names.begin(), names.end());
  return names;
}

const PublishedSource& find_published_source(const std::string& name) {
  for (const PublishedSource& source : published_sources()) {
    if (std::find(source.tasks.begin(), source.tasks.end(), name) != source.tasks.end()) {
      return source;
    }
  }
  const std::vector<std::string> tasks = buildable_tasks();
  if (std::find(tasks.begin(), tasks.end(), name) != tasks.end()) {
    throw ConfigError(fmt::format(
        "task \"{}\" has no published files: it is always generated, by `sbm data build` or `sbm "
        "train`",
        name));
  }
  std::string known;
  for (const std::string& one : downloadable_names()) known += fmt::format(" \"{}\"", one);
  throw ConfigError(fmt::format("expected one of{}; found \"{}\"", known, name));
}

}  // namespace sbm::data
