#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "data/download.h"
#include "data/published_files.h"
#include "launch/command.h"
#include "launch/one_of.h"
#include "launch/print_json.h"
#include "launch/progress_bar.h"

namespace sbm::launch {
namespace {

struct Options {
  std::string task;
  std::string out = "downloads";
  std::string url;
  bool json = false;
};

std::string as_megabytes(std::uint64_t done, std::uint64_t total) {
  const double megabyte = 1e6;
  return total == 0 ? fmt::format("{:.1f} MB", static_cast<double>(done) / megabyte)
                    : fmt::format("{:.1f} of {:.1f} MB", static_cast<double>(done) / megabyte,
                                  static_cast<double>(total) / megabyte);
}

std::string name_of(data::ChecksumSource source) {
  switch (source) {
    case data::ChecksumSource::kPublished:
      return "published";
    case data::ChecksumSource::kRecorded:
      return "recorded before";
    case data::ChecksumSource::kFirst:
      return "recorded now";
  }
  throw InternalError("no such source of a checksum");
}

std::string checksum_text(const data::DownloadedFile& file) {
  switch (file.checksum) {
    case data::ChecksumSource::kPublished:
      return "as published";
    case data::ChecksumSource::kRecorded:
      return fmt::format("no checksum is published; as recorded in {}", data::kChecksumsFile);
    case data::ChecksumSource::kFirst:
      return fmt::format("no checksum is published; recorded now in {}", data::kChecksumsFile);
  }
  throw InternalError("no such source of a checksum");
}

data::DownloadReport download_with_bar(const Options& options) {
  ProgressBar bar(as_megabytes);
  std::string shown;
  return data::download({.task = options.task, .out = options.out, .base_url = options.url},
                        [&](const data::DownloadProgress& done) {
                          bar.show(done.what, done.bytes, done.total);
                          // Where there is no bar, a line for each thing that is done.
                          if (!bar.is_live() && done.what != shown)
                            std::cerr << done.what << "\n" << std::flush;
                          shown = done.what;
                        });
}

int run_download(const Options& options) {
  const std::string licence = data::licence_note(options.task);
  std::cerr << "licence: " << licence << "\n" << std::flush;
  const data::DownloadReport report = download_with_bar(options);
  if (options.json) {
    nlohmann::json files = nlohmann::json::array();
    for (const data::DownloadedFile& file : report.files) {
      files.push_back({{"name", file.name},
                       {"url", file.url},
                       {"bytes", file.bytes},
                       {"sha256", file.sha256},
                       {"checksum", name_of(file.checksum)},
                       {"was_there", file.was_there}});
    }
    print_json({{"task", options.task},
                {"licence", licence},
                {"place", report.place.string()},
                {"next_command", report.next_command},
                {"files", files}});
    return kDone;
  }
  for (const data::DownloadedFile& file : report.files) {
    std::cout << fmt::format("{} {} ({} bytes)\n  SHA-256 {}: {}\n",
                             file.was_there ? "already there:" : "fetched", file.name, file.bytes,
                             file.sha256, checksum_text(file));
  }
  std::cout << fmt::format("ready: {}\nnext: {}\n", report.place.string(), report.next_command);
  return kDone;
}

}  // namespace

void add_download_command(CLI::App& data_command, Action& action) {
  CLI::App* command = data_command.add_subcommand(
      "download", "Fetch, check and unpack the published files of a task or a vocabulary");
  auto options = std::make_shared<Options>();
  command->add_option("task", options->task, "Task, or bert/uncased or bert/cased")
      ->required()
      ->check(one_of(data::downloadable_names()));
  command->add_option("--out", options->out, "Folder of all downloads")->capture_default_str();
  command->add_option("--url", options->url,
                      "Fetch from here instead, by the same file names: a mirror");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->callback(
      [options, &action] { action = [options](Session&) { return run_download(*options); }; });
}

}  // namespace sbm::launch
