#pragma once

#include <cstdint>

namespace sbm::data {

/// StreamId::site under StreamPurpose::kDataGeneration: which use of the seed a stream serves. Part
/// of the contract of generated data; never renumbered.
enum class GenerationSite : std::uint32_t {
  kListOpsTree = 1,        ///< one stream a candidate tree
  kListOpsAssignment = 2,  ///< which accepted tree goes to which split
  kRepeatedTokens = 3,     ///< one stream a sample of a split
  kHeldOut = 4,            ///< which training samples are held out, one stream for each content
  kPathfinder = 5,         ///< one stream an image
  kTextDocument = 6,       ///< held out or not, then lengths of samples: one stream a document
  kStandIn = 7,            ///< lengths and tokens of stand_in.h: one stream a data set
};

}  // namespace sbm::data
