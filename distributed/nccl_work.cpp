#include "distributed/nccl_work.h"

#include <utility>

namespace sbm::distributed {

NcclWork::NcclWork(std::shared_ptr<NcclGroup> group, std::string operation)
    : group_(std::move(group)), operation_(std::move(operation)), done_(group_->take_event()) {
  group_->streams().record(done_, group_->side());
}

NcclWork::~NcclWork() {
  if (finished_) return;
  group_->give_up(operation_ + " on " + group_->who() + " was given up unfinished");
}

void NcclWork::wait() {
  if (finished_) return;
  group_->check_usable(operation_);
  // The host's wait orders only the host: work of the current stream comes after it as well.
  group_->streams().wait(group_->streams().current(), done_);
  group_->wait_until(operation_, [this] { return group_->streams().done(done_); });
  finished_ = true;
  group_->return_event(done_);
}

void NcclWork::wait_in_stream() {
  if (finished_) return;
  group_->check_usable(operation_);
  group_->streams().wait(group_->streams().current(), done_);
  finished_ = true;
  group_->watch_over(operation_, done_);
}

}  // namespace sbm::distributed
