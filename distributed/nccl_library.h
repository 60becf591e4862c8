#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// The functions of NCCL that this program calls, as a table: the real one stands in
// nccl_library_cuda.cpp, and in tests a stand-in moves host memory between ranks. Meanings, and who
// may call what when, are those of NCCL's documentation.
namespace sbm::distributed {

/// ncclResult_t, value by value.
enum class NcclResult : int {
  kSuccess = 0,
  kUnhandledCudaError = 1,
  kSystemError = 2,
  kInternalError = 3,
  kInvalidArgument = 4,
  kInvalidUsage = 5,
  kRemoteError = 6,
  kInProgress = 7,
};

/// "system error".
std::string_view to_text(NcclResult result);

/// "2.28.9" of 22809.
std::string nccl_version_text(int code);

/// ncclUniqueId.
using NcclId = std::array<std::byte, 128>;

/// ncclComm_t.
using NcclHandle = void*;

/// cudaStream_t.
using StreamHandle = void*;

class NcclLibrary {
 public:
  virtual ~NcclLibrary() = default;

  [[nodiscard]] virtual int header_version() const = 0;
  virtual NcclResult library_version(int& code) = 0;
  virtual NcclResult make_id(NcclId& id) = 0;
  /// Of a non-blocking communicator (config.blocking = 0).
  virtual NcclResult start(NcclHandle& comm, int world_size, const NcclId& id, int rank) = 0;
  virtual NcclResult async_error(NcclHandle comm, NcclResult& state) = 0;
  /// What NCCL last said in words, of this process.
  [[nodiscard]] virtual std::string last_error(NcclHandle comm) = 0;
  virtual NcclResult finalize(NcclHandle comm) = 0;
  virtual NcclResult destroy(NcclHandle comm) = 0;
  virtual NcclResult abort(NcclHandle comm) = 0;

  virtual NcclResult group_start() = 0;
  virtual NcclResult group_end() = 0;
  virtual NcclResult send(const std::byte* from, std::size_t bytes, int peer, NcclHandle comm,
                          StreamHandle stream) = 0;
  virtual NcclResult receive(std::byte* to, std::size_t bytes, int peer, NcclHandle comm,
                             StreamHandle stream) = 0;
  virtual NcclResult all_gather(const std::byte* from, std::byte* to, std::size_t part_bytes,
                                NcclHandle comm, StreamHandle stream) = 0;
  virtual NcclResult all_reduce_sum(std::int64_t* values, std::size_t count, NcclHandle comm,
                                    StreamHandle stream) = 0;
  virtual NcclResult reduce_scatter_sum(const std::int64_t* from, std::int64_t* to,
                                        std::size_t own_count, NcclHandle comm,
                                        StreamHandle stream) = 0;
  virtual NcclResult broadcast(std::byte* bytes, std::size_t count, int root, NcclHandle comm,
                               StreamHandle stream) = 0;
};

}  // namespace sbm::distributed
