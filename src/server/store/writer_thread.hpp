// Knows whether this thread is a store's writer, so that waiting for the writer on itself aborts instead of hanging.
#pragma once

namespace godwit::store {

[[nodiscard]] bool is_writer_thread();
/// Marks the calling thread for its lifetime. For engines only.
void mark_writer_thread();

}  // namespace godwit::store
