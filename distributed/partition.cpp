#include "distributed/partition.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace sbm::distributed {

ElementRange even_part(std::int64_t count, int part, int parts) {
  if (count < 0 || part < 0 || part >= parts) {
    throw InternalError("part " + std::to_string(part) + " of " + std::to_string(parts) + " of " +
                        std::to_string(count) +
                        " elements: expected 0 <= part < parts and a count of at least 0");
  }
  const std::int64_t each = count / parts;
  const std::int64_t odd = count % parts;
  const std::int64_t begin = part * each + std::min<std::int64_t>(part, odd);
  return {begin, begin + each + (part < odd ? 1 : 0)};
}

}  // namespace sbm::distributed
