#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/checked.h"
#include "distributed/checkpoint/agreement.h"
#include "distributed/checkpoint/checkpoint.h"
#include "distributed/checkpoint/checkpoint_reader.h"
#include "distributed/checkpoint/folder_names.h"
#include "distributed/checkpoint/moment_gather.h"
#include "distributed/checkpoint/soundness.h"
#include "distributed/checkpoint/strict_json.h"
#include "distributed/checkpoint/tensor_file_writer.h"

namespace sbm::distributed::checkpoint {
namespace {

std::int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void check_arguments(const Communicator& communicator, const std::string& run_id,
                     const Snapshot& snapshot) {
  if (snapshot.layout == nullptr || snapshot.step < 0 || snapshot.sampler_version < 0) {
    throw InternalError("checkpoint: a snapshot without a layout or with a negative number");
  }
  if (!is_plain_name(run_id) || run_id.size() > 64) {
    throw InternalError("checkpoint: the run id is not 1 to 64 of [A-Za-z0-9._-]");
  }
  const FlatLayout& layout = *snapshot.layout;
  const auto shard =
      static_cast<std::size_t>(layout.shard(communicator.rank(), communicator.world_size()).size());
  if (snapshot.weights.size() != static_cast<std::size_t>(layout.size()) ||
      snapshot.first_moment.size() != shard || snapshot.second_moment.size() != shard) {
    throw InternalError(
        fmt::format("checkpoint: {} weights and {}, {} moments, expected {} and twice {}",
                    snapshot.weights.size(), snapshot.first_moment.size(),
                    snapshot.second_moment.size(), layout.size(), shard));
  }
}

// One save: the steps of the protocol in order. Every collective is outside of attempt(), so that a
// rank that failed still takes part in it.
class Save {
 public:
  Save(Communicator& communicator, std::filesystem::path checkpoints, const std::string& run_id,
       const Snapshot& snapshot, const SaveOptions& options)
      : communicator_(communicator),
        checkpoints_(std::move(checkpoints)),
        snapshot_(snapshot),
        options_(options),
        final_name_(step_name(snapshot.step)),
        temporary_name_(temporary_name(snapshot.step, run_id)),
        what_("checkpoint " + final_name_ + " was not saved"),
        plan_(plan_files(*snapshot.layout, options.bytes_per_file)),
        gatherer_(communicator, snapshot) {
    report_.folder = checkpoints_ / final_name_;
  }

  SaveReport run() {
    agree_on_content();
    prepare();
    if (!report_.written) return report_;
    try {
      write();
      commit();
    } catch (const CheckpointError&) {
      clean_up();
      throw;
    }
    return report_;
  }

 private:
  // What all ranks must hold alike. One flipped bit of a weight on one rank would otherwise be
  // saved or not by the chance of who writes it.
  void agree_on_content() {
    agree_equal(communicator_, what_, "weights",
                content_hash(std::as_bytes(snapshot_.weights)).hex());
    Manifest described = describe();
    described.files[kTrainerStateName].hash =
        content_hash(std::string_view(snapshot_.trainer_state));
    std::string text;
    agree(communicator_, what_, attempt([&] { text = format_manifest(described); }));
    agree_equal(communicator_, what_, "step, configuration, data or trainer state", text);
  }

  [[nodiscard]] Manifest describe() const {
    Manifest manifest;
    manifest.step = snapshot_.step;
    manifest.sampler_version = snapshot_.sampler_version;
    manifest.data_fingerprint = snapshot_.data_fingerprint;
    manifest.configuration = snapshot_.configuration;
    return manifest;
  }

  // Rank 0 makes room and the temporary folder; then every rank opens it.
  void prepare() {
    std::string error;
    if (communicator_.rank() == 0) error = attempt([&] { make_room(); });
    agree(communicator_, what_, error);
    report_.notice = broadcast_string(communicator_, report_.notice, 0);
    report_.written = broadcast_string(communicator_, report_.written ? "1" : "", 0) == "1";
    if (!report_.written) return;
    error = attempt([&] {
      if (!parent_) parent_ = Directory::open(*options_.system, checkpoints_);
      folder_ = parent_->open_directory(temporary_name_);
    });
    try {
      agree(communicator_, what_, error);
    } catch (const CheckpointError&) {
      clean_up();
      throw;
    }
  }

  void make_room() {
    parent_ = Directory::open_or_create(*options_.system, checkpoints_);
    if (parent_->exists(final_name_)) {
      const std::string damage = damage_of(*parent_, final_name_);
      if (damage.empty()) {
        // Perhaps the earlier save committed it but could not make the name durable.
        parent_->sync();
        report_.notice =
            fmt::format("{} is complete already: not written again", report_.folder.string());
        return;
      }
      const std::string aside = bad_name(snapshot_.step, unix_time());
      parent_->rename(final_name_, aside);
      report_.notice = fmt::format("renamed to {}, because it is damaged: {}", aside, damage);
    }
    if (parent_->exists(temporary_name_)) parent_->remove_folder(temporary_name_);
    parent_->make_directory(temporary_name_);
    report_.written = true;
  }

  void write() {
    const auto ranks = static_cast<std::size_t>(communicator_.world_size());
    const auto me = static_cast<std::size_t>(communicator_.rank());
    std::string error;
    for (std::size_t first = 0; first < plan_.size(); first += ranks) {
      std::vector<const PlannedFile*> files(ranks, nullptr);
      for (std::size_t r = 0; r < ranks && first + r < plan_.size(); ++r) {
        files[r] = &plan_[first + r];
      }
      error = write_round(files, files[me]);
      agree(communicator_, what_, error);
    }
    const std::string hosts = gather_writers();
    error = attempt([&] {
      if (communicator_.rank() == 0) write_texts(hosts);
      folder_->sync();
    });
    agree(communicator_, what_, error);
  }

  // Each rank writes its file of this round, window by window.
  std::string write_round(const std::vector<const PlannedFile*>& files, const PlannedFile* mine) {
    std::unique_ptr<TensorFileWriter> writer;
    std::string error = attempt([&] {
      if (mine != nullptr) writer = begin_file(*mine);
    });
    std::int64_t longest = 0;
    for (const PlannedFile* file : files) {
      if (file != nullptr) longest = std::max(longest, file->elements());
    }
    for (std::int64_t window = 0; window * kWindowElements < longest; ++window) {
      const std::span<const float> data = gatherer_.gather(files, window);
      if (!error.empty() || writer == nullptr) continue;
      error = attempt([&] { writer->append(std::as_bytes(data)); });
    }
    if (error.empty() && writer != nullptr) {
      error = attempt([&] {
        writer->finish();
        files_.emplace(writer->name(), writer->record());
        tensors_.insert(writer->tensors().begin(), writer->tensors().end());
      });
    }
    return error;
  }

  [[nodiscard]] std::unique_ptr<TensorFileWriter> begin_file(const PlannedFile& file) {
    std::vector<TensorToWrite> tensors;
    for (const PlannedTensor& planned : file.tensors) tensors.push_back(planned.tensor);
    sort_for_writing(tensors);
    return std::make_unique<TensorFileWriter>(*folder_, file.name, std::move(tensors),
                                              tensor_file_metadata(snapshot_.step));
  }

  // Host and threads of every rank, as the JSON text of a list.
  std::string gather_writers() {
    const nlohmann::json mine = {{"host", communicator_.host()}, {"threads", options_.threads}};
    nlohmann::json all = nlohmann::json::array();
    const auto replace = nlohmann::json::error_handler_t::replace;
    for (const std::string& text :
         all_gather_strings(communicator_, mine.dump(-1, ' ', false, replace))) {
      all.push_back(nlohmann::json::parse(text));
    }
    return all.dump();
  }

  void write_texts(const std::string& hosts) {
    folder_->write_file(kTrainerStateName, snapshot_.trainer_state);
    FileRecord record;
    record.bytes = snapshot_.trainer_state.size();
    record.hash = content_hash(std::string_view(snapshot_.trainer_state));
    files_.emplace(kTrainerStateName, record);
    const nlohmann::json writer = {{"world_size", communicator_.world_size()},
                                   {"ranks", nlohmann::json::parse(hosts)},
                                   {"unix_time", unix_time()}};
    folder_->write_file(kWriterName, seal_json(writer, kWriterName));
  }

  void commit() {
    const std::vector<std::string> reports =
        all_gather_strings(communicator_, records_to_json(files_, tensors_).dump());
    Manifest manifest = describe();
    std::string error = attempt([&] {
      for (const std::string& report : reports) {
        records_from_json(nlohmann::json::parse(report), "a rank's report", manifest.files,
                          manifest.tensors);
      }
      for (const auto& [name, file] : manifest.files) report_.bytes += file.bytes;
      if (communicator_.rank() == 0) publish(manifest);
    });
    agree(communicator_, what_, error);
  }

  void publish(const Manifest& manifest) {
    folder_->write_file(kManifestName, format_manifest(manifest));
    // A full disk can leave empty files behind calls that all succeeded: believe what is read back.
    const CheckpointReader reader(parent_->open_directory(temporary_name_));
    if (reader.manifest() != manifest) {
      throw CheckpointError(reader.path().string() + ": the manifest reads back differently");
    }
    folder_->sync();
    parent_->rename(temporary_name_, final_name_);
    try {
      parent_->sync();
    } catch (const FileError& failure) {
      // Complete and in place; only a power cut now could still take the name away.
      throw CheckpointError(fmt::format("{}; {} is complete, but its name may not survive a crash",
                                        failure.what(), report_.folder.string()));
    }
  }

  // Best effort: what cannot be removed now, the next start removes. Rank 0 removes by name, never
  // by an open handle: should the rename have happened after all, there is nothing of that name,
  // and the committed files stay.
  void clean_up() {
    folder_.reset();
    communicator_.barrier()->wait();
    if (communicator_.rank() == 0) {
      static_cast<void>(attempt([&] {
        if (parent_->exists(temporary_name_)) parent_->remove_folder(temporary_name_);
      }));
    }
    communicator_.barrier()->wait();
  }

  Communicator& communicator_;
  std::filesystem::path checkpoints_;
  const Snapshot& snapshot_;
  const SaveOptions& options_;
  std::string final_name_;
  std::string temporary_name_;
  std::string what_;
  std::vector<PlannedFile> plan_;
  WindowGatherer gatherer_;
  SaveReport report_;
  std::optional<Directory> parent_;
  std::optional<Directory> folder_;
  std::map<std::string, FileRecord> files_;
  std::map<std::string, TensorRecord> tensors_;
};

}  // namespace

SaveReport save(Communicator& communicator, const std::filesystem::path& checkpoints,
                const std::string& run_id, const Snapshot& snapshot, const SaveOptions& options) {
  check_arguments(communicator, run_id, snapshot);
  return Save(communicator, checkpoints, run_id, snapshot, options).run();
}

}  // namespace sbm::distributed::checkpoint
