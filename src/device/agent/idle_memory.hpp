// Memory that a silent agent gives back. Safe from any thread, at any time.
#pragma once

namespace godwit::agent {

/// Returns free heap pages to the system, and forgets the pages of program and library code: start, TLS handshake and
/// parsing touched most of it once, waiting needs a few pages. What is needed again comes back from the page cache by
/// itself. Data, constants that were relocated and everything else that was ever written stays untouched.
void release_idle_memory();

}  // namespace godwit::agent
