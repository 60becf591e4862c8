#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "distributed/device_communicator.h"
#include "distributed/error_check_cuda.h"
#include "distributed/flat_math.h"
#include "tests/distributed/communicator_suite.h"
#include "tests/distributed/training_suite.h"
#include "tests/distributed_mpi/world.h"

// The same suites on GPUs, over NCCL itself. With fewer GPUs than ranks several ranks share one.
namespace sbm::distributed {
namespace {

class CudaTestMemory final : public TestMemory {
 public:
  CudaTestMemory(FlatMath& math, cudaStream_t stream) : math_(math), stream_(stream) {}
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override { return math_.allocate(bytes); }
  void write(std::byte* to, std::span<const std::byte> from) override {
    copy(to, from.data(), from.size());
  }
  void read(std::span<std::byte> to, const std::byte* from) override {
    copy(to.data(), from, to.size());
  }

 private:
  void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes == 0) return;
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), "cudaMemcpyAsync");
    check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  }

  FlatMath& math_;
  cudaStream_t stream_;
};

/// What NCCL reads once, at its first call: several ranks on one GPU are hosts of one GPU to it,
/// which talk by sockets of this machine.
void let_ranks_share_a_gpu() {
  setenv("NCCL_HOSTID", std::to_string(world().rank()).c_str(), 1);
  for (const char* setting : {"NCCL_P2P_DISABLE=1", "NCCL_SHM_DISABLE=1", "NCCL_NVLS_ENABLE=0",
                              "NCCL_MNNVL_ENABLE=0", "NCCL_MAX_CTAS=1", "NCCL_IB_DISABLE=1",
                              "NCCL_SOCKET_IFNAME=lo", "NCCL_ALGO=Ring", "NCCL_PROTO=Simple"}) {
    const std::string text = setting;
    const auto equals = text.find('=');
    setenv(text.substr(0, equals).c_str(), text.substr(equals + 1).c_str(), 0);
  }
}

class DeviceGroup : public testing::Test {
 protected:
  void SetUp() override {
    int gpus = 0;
    const cudaError_t found = cudaGetDeviceCount(&gpus);
    if (found != cudaSuccess || gpus == 0) {
      GTEST_SKIP() << "no GPU: " << cudaGetErrorString(found);
    }
    if (gpus < world().world_size()) let_ranks_share_a_gpu();
    const int gpu = world().local_rank() % gpus;
    check_cuda(cudaSetDevice(gpu), "cudaSetDevice");
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
               "cudaStreamCreateWithFlags");
    math_ = make_device_flat_math([this] { return static_cast<void*>(stream_); });
    memory_.emplace(*math_, stream_);
    communicator_ = make_device_communicator(
        world(), gpu, [this] { return static_cast<void*>(stream_); }, std::chrono::seconds(60));
  }
  void TearDown() override {
    communicator_.reset();
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
    world().barrier()->wait();
  }

  cudaStream_t stream_ = nullptr;
  std::unique_ptr<FlatMath> math_;
  std::optional<CudaTestMemory> memory_;
  std::unique_ptr<Communicator> communicator_;
};

TEST_F(DeviceGroup, DoesWhatEveryCommunicatorDoes) {
  if (world().rank() == 0) RecordProperty("library", device_communicator_version().value_or(""));
  expect_everything(*communicator_, *memory_);
}

// Against the processor's arithmetic in the same tests: equal bits.
TEST_F(DeviceGroup, GradientsNormAndUpdateHaveTheProcessorsBits) {
  const Place place{*communicator_, *math_, *memory_};
  expect_gradient_tree(place);
  expect_clip(place);
  expect_sharded_update(place);
  communicator_->synchronize();
}

TEST_F(DeviceGroup, APeerThatNeverArrivesEndsAllByTheDeadline) {
  const TestBuffer<std::int64_t> one(*memory_, std::vector<std::int64_t>{1});
  communicator_->all_reduce_sum(one.span())->wait();
  communicator_->set_timeout(std::chrono::seconds(2));
  const bool culprit = world().rank() == world().world_size() - 1;
  try {
    if (!culprit) communicator_->all_reduce_sum(one.span())->wait_in_stream();
    for (;;) communicator_->synchronize();
  } catch (const CommunicationError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("without an answer"));
  }
  EXPECT_THROW(communicator_->barrier(), CommunicationError);
}

}  // namespace
}  // namespace sbm::distributed
