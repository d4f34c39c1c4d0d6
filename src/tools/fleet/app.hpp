// The command line of godwit-fleet: options, verbs, figures as a table or as JSON lines. One thread.
#pragma once

namespace godwit::fleet {

/// Exit code: 0 done, 1 failed or a promise was broken, 2 wrong usage.
[[nodiscard]] int run(int argc, char** argv);

}  // namespace godwit::fleet
