// godwit: the operator's command line. Wiring only.
#include <csignal>
#include <cstdlib>

#include "tools/cli/app.hpp"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  return godwit::cli::run(argc, argv, [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  });
}
