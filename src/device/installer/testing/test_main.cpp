// main() of the room's tests: the same program plays the extension worker and the installer.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "device/extension/worker.hpp"
#include "device/installer/installer_config.hpp"
#include "device/installer/server.hpp"
#include "device/installer/socket.hpp"

namespace {

const godwit::installer::InstallerConfig* running = nullptr;

godwit::Result<void> run_installer(const godwit::Path& file) {
  using namespace godwit;
  GODWIT_TRY(const installer::InstallerConfig config, installer::load_installer_config(file));
  running = &config;
  GODWIT_TRY(const uid_t agent, installer::find_user(config.agent_user));
  GODWIT_TRY(const UniqueFd lock, installer::lock_data_folder(config.data));
  GODWIT_TRY(const UniqueFd socket, installer::listen_at(config.socket, agent));
  FdLog log(2, *parse_log_level(config.log_level), LogFormat::text);
  return installer::serve(config, {.listen_fd = socket.get(), .agent = agent, .idle_exit = {}}, log);
}

}  // namespace

/// In the place of the system's: notes in "synced" what the journals said when the disk was asked for.
extern "C" void sync() noexcept {
  if (running == nullptr) return;
  std::ofstream note(running->data / "synced", std::ios::app);
  for (const auto& file : std::filesystem::directory_iterator(running->acts_folder()))
    note << std::ifstream(file.path()).rdbuf();
  note << "synced\n";
}

int main(int argc, char** argv) {
  if (const int status = godwit::extension::run_if_extension_worker(argc, argv); status >= 0) return status;
  if (argc == 3 && std::string_view(argv[1]) == "installer-for-test") {
    const auto done = run_installer(argv[2]);
    if (!done) std::fprintf(stderr, "%s\n", done.error().message.c_str());
    return done ? 0 : 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
