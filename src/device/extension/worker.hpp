// The other end of run_extension(): the body of the process that loads one library for one call. Runs alone in its
// process: one thread reads the cancel message, the main thread is in the extension.
#pragma once

namespace godwit::extension {

/// `fd` is the socket to the host. Never throws; the exit status of the process: 0 an outcome was sent, 2 it could not
/// be.
[[nodiscard]] int extension_worker_main(int fd);

/// For main(): if the arguments are `extension-worker FD`, does the call and gives the exit status; -1 otherwise.
/// Must stand before anything that starts threads, opens files or changes signals.
[[nodiscard]] int run_if_extension_worker(int argc, const char* const* argv);

}  // namespace godwit::extension
