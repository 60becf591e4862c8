#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sbm::data {

/// All pieces of a vocabulary as two byte tries, one of the pieces that begin a word and one of
/// those that continue it ("##..."). The edges of both lie in one hash table in which a node is the
/// slot of the edge that leads to it, so one step costs one probe. Const members may be called from
/// any thread.
class PieceTrie {
 public:
  /// `pieces` by id: not empty, each once, together fewer than 2^22 bytes; at most 65,536.
  explicit PieceTrie(const std::vector<std::string>& pieces);

  struct Match {
    std::size_t length = 0;  ///< bytes; 0 when no piece fits
    std::uint16_t id = 0;
  };

  /// The longest piece that `text` starts with, among those that begin (or continue) a word.
  [[nodiscard]] Match longest(std::string_view text, bool continues) const;

 private:
  struct Slot {
    std::uint32_t edge = kEmpty;  ///< (node it leaves) * 256 + byte
    std::int32_t id = -1;         ///< of the piece that ends here
  };
  static constexpr std::uint32_t kEmpty = 0xFFFFFFFF;

  [[nodiscard]] std::size_t slot_of(std::uint32_t edge) const {
    return (edge * std::uint64_t{0x9E3779B97F4A7C15}) >> shift_;
  }
  // The roots are nodes that no edge leads to: they are numbered behind the slots.
  [[nodiscard]] std::uint32_t root(bool continues) const {
    return static_cast<std::uint32_t>(slots_.size() + (continues ? 1 : 0));
  }
  void insert(std::string_view text, bool continues, std::int32_t id);

  std::vector<Slot> slots_;
  int shift_ = 0;
};

}  // namespace sbm::data
