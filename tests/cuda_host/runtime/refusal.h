#pragma once

namespace sbm::cuda_host {

/// Lets this thread's next `launches` launches pass and refuses the one after them, once; as a
/// device may that has run out of something. Negative: refuses none.
void refuse_after(int launches);

}  // namespace sbm::cuda_host
