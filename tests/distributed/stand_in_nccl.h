#pragma once

#include <mpi.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "distributed/nccl_library.h"
#include "tests/distributed/stand_in_streams.h"

namespace sbm::distributed {

/// What goes wrong in a StandInNccl, on the rank that has it.
struct StandInFaults {
  int library_version = 22809;
  int header_version = 22809;
  bool no_id = false;
  bool start_never_ends = false;
  int async_error_at =
      -1;  ///< the group of operations that never runs, while NCCL reports an error
  NcclResult async_error = NcclResult::kSystemError;
  int call_error_at = -1;  ///< the group in which the first call is refused
};

/// NCCL without a device: moves the memory of a StandInStreams between the ranks of mpirun, as work
/// of its streams. Starts and operations stay "in progress" for a while. Refuses by a Misuse what
/// NCCL leaves undefined or forbids: operations or counts on which two ranks disagree, calls on a
/// communicator that is aborted, in progress or destroyed, calls outside of a group, unbalanced
/// groups.
class StandInNccl final : public NcclLibrary {
 public:
  /// Collective. `streams` outlives this.
  StandInNccl(StandInStreams& streams, std::uint32_t seed, const StandInFaults& faults);
  ~StandInNccl() override;

  [[nodiscard]] int header_version() const override { return faults_.header_version; }
  NcclResult library_version(int& code) override;
  NcclResult make_id(NcclId& id) override;
  NcclResult start(NcclHandle& comm, int world_size, const NcclId& id, int rank) override;
  NcclResult async_error(NcclHandle comm, NcclResult& state) override;
  [[nodiscard]] std::string last_error(NcclHandle comm) override;
  NcclResult finalize(NcclHandle comm) override;
  NcclResult destroy(NcclHandle comm) override;
  NcclResult abort(NcclHandle comm) override;

  NcclResult group_start() override;
  NcclResult group_end() override;
  NcclResult send(const std::byte* from, std::size_t bytes, int peer, NcclHandle comm,
                  StreamHandle stream) override;
  NcclResult receive(std::byte* to, std::size_t bytes, int peer, NcclHandle comm,
                     StreamHandle stream) override;
  NcclResult all_gather(const std::byte* from, std::byte* to, std::size_t part_bytes,
                        NcclHandle comm, StreamHandle stream) override;
  NcclResult all_reduce_sum(std::int64_t* values, std::size_t count, NcclHandle comm,
                            StreamHandle stream) override;
  NcclResult reduce_scatter_sum(const std::int64_t* from, std::int64_t* to, std::size_t own_count,
                                NcclHandle comm, StreamHandle stream) override;
  NcclResult broadcast(std::byte* bytes, std::size_t count, int root, NcclHandle comm,
                       StreamHandle stream) override;

 private:
  enum class Life { kStarting, kReady, kFinalizing, kFinalized, kDestroyed, kAborted };
  class Exchange;
  struct Group {
    std::shared_ptr<Exchange> exchange;
    std::vector<StandInStreams::Access> accesses;
    StreamHandle stream = nullptr;
  };

  void require(NcclHandle comm, const char* call, bool in_group) const;
  /// Adds a call to the open group; says whether NCCL takes it.
  NcclResult begin_call(const char* call, NcclHandle comm, StreamHandle stream);
  void touch(const std::byte* begin, std::size_t bytes, bool writes);
  void launch();
  [[nodiscard]] int draw_looks();
  [[nodiscard]] bool aborted() const { return life_ == Life::kAborted; }

  StandInStreams& streams_;
  StandInFaults faults_;
  std::mt19937 random_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int world_size_ = 1;
  Life life_ = Life::kDestroyed;
  int looks_ = 0;  ///< until what is in progress is done
  int depth_ = 0;
  int groups_ = 0;
  std::vector<std::uint64_t> sent_;      ///< messages so far, to each peer
  std::vector<std::uint64_t> received_;  ///< and from each
  std::shared_ptr<Exchange> hello_;
  std::optional<Group> open_;       ///< between group_start and group_end
  std::optional<Group> launching_;  ///< not yet in its stream
  std::vector<std::shared_ptr<Exchange>> unfinished_;
  bool failed_ = false;
};

}  // namespace sbm::distributed
