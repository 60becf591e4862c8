#include "data/loader.h"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/error.h"

namespace sbm::data {
namespace {

void check_plan(const Dataset& dataset, const TrainingPlan& plan) {
  const auto require = [](bool holds, const std::string& message) {
    if (!holds) throw ConfigError(message);
  };
  require(dataset.size() > 0,
          fmt::format("cannot train on split \"{}\": it has no samples", dataset.split()));
  require(
      plan.micro_batch > 0 && plan.global_batch > 0 && plan.global_batch % plan.micro_batch == 0,
      fmt::format("expected a global batch that is a multiple of the micro-batch, both above "
                  "0; found {} and {}",
                  plan.global_batch, plan.micro_batch));
  const std::int64_t count = plan.global_batch / plan.micro_batch;
  require(0 <= plan.first_micro_batch && plan.first_micro_batch < plan.last_micro_batch &&
              plan.last_micro_batch <= count,
          fmt::format("expected a run of micro-batches within 0 to {}, found {} to {}", count,
                      plan.first_micro_batch, plan.last_micro_batch));
  require(plan.first_step >= 0 && checked_multiply(plan.first_step, plan.global_batch).has_value(),
          fmt::format("expected a first step of at least 0 whose position fits 64 bits, found {}",
                      plan.first_step));
  require(
      !plan.drop_last || epoch_size(dataset, plan.global_batch, true) > 0,
      fmt::format("expected at least a whole global batch of {} in split \"{}\", whose last one is "
                  "dropped (training.drop_last); found {} samples",
                  plan.global_batch, dataset.split(), dataset.size()));
  const LengthBuckets& lengths = plan.lengths;
  require(lengths.max_length > 0 && lengths.granularity >= 0 && lengths.part_length >= 0,
          fmt::format("expected a maximum length above 0 and buckets and parts of at least 0, "
                      "found {}, {} and {}",
                      lengths.max_length, lengths.granularity, lengths.part_length));
  if (plan.masking) {
    check_masking_rules(*plan.masking);
    require(dataset.word_pieces().has_value(),
            fmt::format("cannot mask the tokens of {}: its data say nothing of word pieces",
                        dataset.task()));
  }
  require(plan.prefetch > 0,
          fmt::format("expected at least 1 micro-batch of prefetch, found {}", plan.prefetch));
}

// The place in a run: which micro-batch of this rank comes next.
class Cursor {
 public:
  Cursor(const Dataset& dataset, const TrainingPlan& plan)
      : dataset_(dataset),
        plan_(plan),
        epoch_size_(epoch_size(dataset, plan.global_batch, plan.drop_last)),
        step_(static_cast<std::uint64_t>(plan.first_step)) {}

  /// One micro-batch: its samples, and the epoch of each when they are to be masked.
  struct Part {
    std::vector<std::uint64_t> ids;
    std::vector<std::uint64_t> epochs;
  };

  /// The next micro-batch, valid until the next call.
  const Part& next() {
    if (next_ == plan_.last_micro_batch) {
      next_ = plan_.first_micro_batch;
      ++step_;
      step_batches_.clear();
    }
    if (step_batches_.empty()) cut_step();
    return step_batches_[static_cast<std::size_t>(next_++)];
  }

 private:
  // With drop_last the permutation is still one of all samples.
  [[nodiscard]] std::uint64_t sample_of(std::uint64_t position) const {
    const std::uint64_t all = dataset_.size();
    return sample_at(plan_.seed, all, position / epoch_size_ * all + position % epoch_size_);
  }

  // Of the whole global batch: which samples share a micro-batch is not the rank's affair.
  void cut_step() {
    const auto size = static_cast<std::uint64_t>(plan_.global_batch);
    std::vector<std::uint64_t> ids;
    ids.reserve(size);
    for (std::uint64_t i = 0; i < size; ++i) {
      ids.push_back(sample_of(step_ * size + i));
    }
    for (std::vector<std::uint64_t>& part :
         cut_by_length(dataset_, ids, plan_.micro_batch, plan_.lengths)) {
      step_batches_.push_back({std::move(part), {}});
    }
    if (plan_.masking) note_epochs(ids);
  }

  // `ids` in the order of their positions. A sample that a step takes in several epochs gets them
  // in their order.
  void note_epochs(const std::vector<std::uint64_t>& ids) {
    std::multimap<std::uint64_t, std::uint64_t> epochs;  // of one id in the order of the positions
    for (std::size_t i = 0; i < ids.size(); ++i) {
      epochs.emplace(ids[i], (step_ * ids.size() + i) / epoch_size_);
    }
    for (Part& part : step_batches_) {
      for (const std::uint64_t id : part.ids) {
        const auto first = epochs.lower_bound(id);
        part.epochs.push_back(first->second);
        epochs.erase(first);
      }
    }
  }

  const Dataset& dataset_;
  TrainingPlan plan_;
  std::uint64_t epoch_size_;
  std::uint64_t step_;
  std::int64_t next_ = plan_.first_micro_batch;
  std::vector<Part> step_batches_;
};

}  // namespace

class TrainingLoader::Worker {
 public:
  Worker(const Dataset& dataset, const TrainingPlan& plan)
      : dataset_(dataset), plan_(plan), thread_([this] { run(); }) {}

  ~Worker() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  Batch next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty() || failure_; });
    // What was prepared before the failure is good and comes first.
    if (ready_.empty()) std::rethrow_exception(failure_);
    Batch batch = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return batch;
  }

 private:
  void run() {
    try {
      Cursor cursor(dataset_, plan_);
      while (wait_for_room()) {
        const Cursor::Part& part = cursor.next();
        Batch batch = collate(dataset_, part.ids, plan_.lengths);
        if (plan_.masking) {
          mask_batch(*plan_.masking, *dataset_.word_pieces(), plan_.seed, part.epochs, batch);
        }
        const std::scoped_lock lock(mutex_);
        ready_.push_back(std::move(batch));
        changed_.notify_all();
      }
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      failure_ = std::current_exception();
      changed_.notify_all();
    }
  }

  bool wait_for_room() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || std::ssize(ready_) < plan_.prefetch; });
    return !stopping_;
  }

  const Dataset& dataset_;
  const TrainingPlan plan_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::exception_ptr failure_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

std::uint64_t epoch_size(const Dataset& dataset, std::int64_t global_batch, bool drop_last) {
  const std::uint64_t size = dataset.size();
  return drop_last ? size - size % static_cast<std::uint64_t>(global_batch) : size;
}

TrainingLoader::TrainingLoader(const Dataset& dataset, const TrainingPlan& plan) {
  check_plan(dataset, plan);
  worker_ = std::make_unique<Worker>(dataset, plan);
}

TrainingLoader::~TrainingLoader() = default;

Batch TrainingLoader::next() { return worker_->next(); }

}  // namespace sbm::data
