#include "data/piece_trie.h"

#include <algorithm>
#include <bit>

namespace sbm::data {
namespace {

constexpr std::string_view kContinuation = "##";

}  // namespace

PieceTrie::PieceTrie(const std::vector<std::string>& pieces) {
  // Distinct prefixes of sorted texts are counted by what each adds to its predecessor. A node of
  // the continuation trie is counted with its "##", so this is at most two too many.
  std::vector<std::string_view> sorted(pieces.begin(), pieces.end());
  std::sort(sorted.begin(), sorted.end());
  std::size_t nodes = 0;
  std::string_view last;
  for (const std::string_view piece : sorted) {
    const auto shared = std::mismatch(last.begin(), last.end(), piece.begin(), piece.end());
    nodes += static_cast<std::size_t>(piece.end() - shared.second);
    last = piece;
  }
  // At most half full: probes stay short.
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(2 * nodes, 16));
  shift_ = 64 - std::countr_zero(size);
  slots_.resize(size);
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    const std::string_view piece = pieces[id];
    const bool continues = piece.starts_with(kContinuation) && piece.size() > 2;
    insert(continues ? piece.substr(2) : piece, continues, static_cast<std::int32_t>(id));
  }
}

void PieceTrie::insert(std::string_view text, bool continues, std::int32_t id) {
  std::uint32_t node = root(continues);
  for (const char c : text) {
    const std::uint32_t edge = node * 256 + static_cast<std::uint8_t>(c);
    std::size_t slot = slot_of(edge);
    while (slots_[slot].edge != kEmpty && slots_[slot].edge != edge) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    slots_[slot].edge = edge;
    node = static_cast<std::uint32_t>(slot);
  }
  slots_[node].id = id;
}

PieceTrie::Match PieceTrie::longest(std::string_view text, bool continues) const {
  Match match;
  std::uint32_t node = root(continues);
  const std::size_t wrap = slots_.size() - 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint32_t edge = node * 256 + static_cast<std::uint8_t>(text[i]);
    std::size_t slot = slot_of(edge);
    while (slots_[slot].edge != edge) {
      if (slots_[slot].edge == kEmpty) return match;
      slot = (slot + 1) & wrap;
    }
    node = static_cast<std::uint32_t>(slot);
    if (slots_[slot].id >= 0) match = {i + 1, static_cast<std::uint16_t>(slots_[slot].id)};
  }
  return match;
}

}  // namespace sbm::data
