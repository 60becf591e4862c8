#pragma once

#include <memory>
#include <string>

#include "distributed/communicator.h"
#include "distributed/nccl_group.h"

namespace sbm::distributed {

/// An operation that the side stream holds, ended by an event.
class NcclWork final : public Work {
 public:
  /// Records the end of what the side stream holds so far.
  NcclWork(std::shared_ptr<NcclGroup> group, std::string operation);
  ~NcclWork() override;
  NcclWork(const NcclWork&) = delete;
  NcclWork& operator=(const NcclWork&) = delete;

  void wait() override;
  void wait_in_stream() override;

 private:
  std::shared_ptr<NcclGroup> group_;
  std::string operation_;
  EventHandle done_;
  bool finished_ = false;
};

}  // namespace sbm::distributed
