#include "launch/freed_memory.h"

#include <malloc.h>

#include <limits>

namespace sbm::launch {

void keep_freed_memory() {
#ifdef __GLIBC__
  // An allocation above the threshold is mapped alone and unmapped when it is freed.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace sbm::launch
