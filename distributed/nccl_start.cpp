#include "distributed/nccl_start.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>
#include <string>
#include <utility>

#include "base/error.h"

namespace sbm::distributed {
namespace {

/// What one rank tells the others, a line each.
struct Card {
  int library = 0;
  int headers = 0;
  std::string device;
  std::string host;  ///< as NCCL tells hosts apart
};

std::string pack(const Card& card) {
  return fmt::format("{}\n{}\n{}\n{}", card.library, card.headers, card.device, card.host);
}

Card unpack(const std::string& text) {
  std::istringstream in(text);
  Card card;
  in >> card.library >> card.headers >> std::ws;
  std::getline(in, card.device);
  std::getline(in, card.host);
  return card;
}

void check_versions(int rank, const Card& card, const Card& first) {
  if (card.library / 10000 != card.headers / 10000 || card.library < card.headers) {
    throw CommunicationError(fmt::format(
        "rank {}: NCCL {} was found, but the program was built with the headers of {}: expected "
        "that version or a newer one of the same major; is another libnccl.so.2 first in "
        "LD_LIBRARY_PATH?",
        rank, nccl_version_text(card.library), nccl_version_text(card.headers)));
  }
  if (card.library != first.library) {
    throw CommunicationError(
        fmt::format("rank {} has NCCL {}, rank 0 has {}: expected one version on all ranks", rank,
                    nccl_version_text(card.library), nccl_version_text(first.library)));
  }
}

}  // namespace

void check_nccl_ranks(Communicator& control, NcclLibrary& library, DeviceStreams& streams) {
  Card mine;
  if (library.library_version(mine.library) != NcclResult::kSuccess) mine.library = 0;
  mine.headers = library.header_version();
  mine.device = streams.device_name();
  const char* const host_id = std::getenv("NCCL_HOSTID");
  mine.host = host_id == nullptr ? control.host() : host_id;

  const auto texts = all_gather_strings(control, pack(mine));
  const Card first = unpack(texts.front());
  std::map<std::pair<std::string, std::string>, int> owners;
  for (int rank = 0; rank < control.world_size(); ++rank) {
    const Card card = unpack(texts[static_cast<std::size_t>(rank)]);
    check_versions(rank, card, first);
    const auto [owner, is_new] = owners.try_emplace({card.host, card.device}, rank);
    if (is_new) continue;
    throw ConfigError(fmt::format(
        "ranks {} and {} share the GPU {} of {}: expected one rank for each GPU; start as many "
        "ranks on a host as it has GPUs (mpirun --map-by ppr:N:node, srun --ntasks-per-node=N)",
        owner->second, rank, card.device, card.host));
  }
}

NcclId share_nccl_id(Communicator& control, NcclLibrary& library) {
  NcclId id{};
  std::string text;
  if (control.rank() == 0 && library.make_id(id) == NcclResult::kSuccess) {
    text.assign(reinterpret_cast<const char*>(id.data()), id.size());
  }
  std::string words;
  if (control.rank() == 0 && text.empty()) words = library.last_error(nullptr);
  text = broadcast_string(control, text, 0);
  words = broadcast_string(control, words, 0);
  if (text.size() != id.size()) {
    throw CommunicationError("rank 0: NCCL cannot make an id for the ranks to meet by: " +
                             (words.empty() ? "no reason given" : words) +
                             "; NCCL_SOCKET_IFNAME names the network interface to use");
  }
  std::memcpy(id.data(), text.data(), id.size());
  return id;
}

}  // namespace sbm::distributed
