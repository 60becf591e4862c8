#include "distributed/nccl_library_cuda.h"

#include <nccl.h>

#include <cstring>

namespace sbm::distributed {
namespace {

static_assert(static_cast<int>(NcclResult::kUnhandledCudaError) == ncclUnhandledCudaError);
static_assert(static_cast<int>(NcclResult::kSystemError) == ncclSystemError);
static_assert(static_cast<int>(NcclResult::kInternalError) == ncclInternalError);
static_assert(static_cast<int>(NcclResult::kInvalidArgument) == ncclInvalidArgument);
static_assert(static_cast<int>(NcclResult::kInvalidUsage) == ncclInvalidUsage);
static_assert(static_cast<int>(NcclResult::kRemoteError) == ncclRemoteError);
static_assert(static_cast<int>(NcclResult::kInProgress) == ncclInProgress);
static_assert(sizeof(NcclId) == sizeof(ncclUniqueId));

NcclResult result_of(ncclResult_t result) { return static_cast<NcclResult>(result); }
ncclComm_t comm_of(NcclHandle comm) { return static_cast<ncclComm_t>(comm); }
cudaStream_t stream_of(StreamHandle stream) { return static_cast<cudaStream_t>(stream); }

class LinkedNccl final : public NcclLibrary {
 public:
  [[nodiscard]] int header_version() const override { return NCCL_VERSION_CODE; }
  NcclResult library_version(int& code) override { return result_of(ncclGetVersion(&code)); }

  NcclResult make_id(NcclId& id) override {
    ncclUniqueId made;
    const NcclResult result = result_of(ncclGetUniqueId(&made));
    std::memcpy(id.data(), &made, id.size());
    return result;
  }
  NcclResult start(NcclHandle& comm, int world_size, const NcclId& id, int rank) override {
    ncclUniqueId given;
    std::memcpy(&given, id.data(), id.size());
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t made = nullptr;
    const ncclResult_t result = ncclCommInitRankConfig(&made, world_size, given, rank, &config);
    comm = made;
    return result_of(result);
  }
  NcclResult async_error(NcclHandle comm, NcclResult& state) override {
    ncclResult_t found = ncclSuccess;
    const ncclResult_t result = ncclCommGetAsyncError(comm_of(comm), &found);
    state = result_of(found);
    return result_of(result);
  }
  [[nodiscard]] std::string last_error(NcclHandle comm) override {
    const char* const words = ncclGetLastError(comm_of(comm));
    return words == nullptr ? "" : words;
  }
  NcclResult finalize(NcclHandle comm) override {
    return result_of(ncclCommFinalize(comm_of(comm)));
  }
  NcclResult destroy(NcclHandle comm) override { return result_of(ncclCommDestroy(comm_of(comm))); }
  NcclResult abort(NcclHandle comm) override { return result_of(ncclCommAbort(comm_of(comm))); }

  NcclResult group_start() override { return result_of(ncclGroupStart()); }
  NcclResult group_end() override { return result_of(ncclGroupEnd()); }
  NcclResult send(const std::byte* from, std::size_t bytes, int peer, NcclHandle comm,
                  StreamHandle stream) override {
    return result_of(ncclSend(from, bytes, ncclInt8, peer, comm_of(comm), stream_of(stream)));
  }
  NcclResult receive(std::byte* to, std::size_t bytes, int peer, NcclHandle comm,
                     StreamHandle stream) override {
    return result_of(ncclRecv(to, bytes, ncclInt8, peer, comm_of(comm), stream_of(stream)));
  }
  NcclResult all_gather(const std::byte* from, std::byte* to, std::size_t part_bytes,
                        NcclHandle comm, StreamHandle stream) override {
    return result_of(
        ncclAllGather(from, to, part_bytes, ncclInt8, comm_of(comm), stream_of(stream)));
  }
  NcclResult all_reduce_sum(std::int64_t* values, std::size_t count, NcclHandle comm,
                            StreamHandle stream) override {
    return result_of(
        ncclAllReduce(values, values, count, ncclInt64, ncclSum, comm_of(comm), stream_of(stream)));
  }
  NcclResult reduce_scatter_sum(const std::int64_t* from, std::int64_t* to, std::size_t own_count,
                                NcclHandle comm, StreamHandle stream) override {
    return result_of(ncclReduceScatter(from, to, own_count, ncclInt64, ncclSum, comm_of(comm),
                                       stream_of(stream)));
  }
  NcclResult broadcast(std::byte* bytes, std::size_t count, int root, NcclHandle comm,
                       StreamHandle stream) override {
    return result_of(
        ncclBroadcast(bytes, bytes, count, ncclInt8, root, comm_of(comm), stream_of(stream)));
  }
};

}  // namespace

std::unique_ptr<NcclLibrary> make_nccl_library() { return std::make_unique<LinkedNccl>(); }

}  // namespace sbm::distributed
