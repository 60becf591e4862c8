#include "data/listops_tokens.h"

namespace sbm::data {

std::vector<std::string> listops_label_names() {
  std::vector<std::string> names;
  names.reserve(kListOpsClasses);
  for (std::int32_t label = 0; label < kListOpsClasses; ++label) {
    names.push_back(std::to_string(label));
  }
  return names;
}

}  // namespace sbm::data
