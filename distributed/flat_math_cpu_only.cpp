#include "base/error.h"
#include "distributed/flat_math.h"

namespace sbm::distributed {

std::unique_ptr<FlatMath> make_device_flat_math(std::function<void*()>) {
  throw ConfigError("this program was built without CUDA: it has no arithmetic on GPUs");
}

}  // namespace sbm::distributed
