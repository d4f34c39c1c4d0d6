// godwit-installer: the privileged half of a device. This file is wiring: flags, configuration, socket, and then either
// the waiting program beside it or the server itself.
#include <fcntl.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "device/extension/command.hpp"
#include "device/extension/worker.hpp"
#include "device/installer/installer_config.hpp"
#include "device/installer/server.hpp"
#include "device/installer/socket.hpp"

namespace {

using godwit::Code;
using godwit::Error;
using godwit::Path;
using godwit::Result;
using godwit::UniqueFd;
using godwit::extension::Type;
using godwit::installer::InstallerConfig;

constexpr int kFailed = 1;
constexpr int kFirstInheritedFd = 3;  // sd_listen_fds(3)

struct Flags {
  std::string config = "/etc/godwit/installer.toml";
  bool print_config = false;
  int listen_fd = -1;
  godwit::extension::RegisterRequest registration{};
};

godwit::FdLog make_log(const InstallerConfig& config) {
  const auto level = godwit::parse_log_level(config.log_level);
  return {STDERR_FILENO, level ? *level : godwit::LogLevel::info,
          config.log_format == "json" ? godwit::LogFormat::json : godwit::LogFormat::text};
}

/// The socket that systemd made for us, or -1.
int inherited_socket() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || std::string(pid) != std::to_string(::getpid()) || std::string(count) != "1")
    return -1;
  ::fcntl(kFirstInheritedFd, F_SETFD, FD_CLOEXEC);
  ::fcntl(kFirstInheritedFd, F_SETFL, O_NONBLOCK);
  return kFirstInheritedFd;
}

/// Becomes godwit-installer-wait; comes back only if that program is not beside this one.
void become_waiter(const Flags& flags, const InstallerConfig& config, int listen_fd, int lock_fd) {
  std::error_code problem;
  const Path self = std::filesystem::read_symlink("/proc/self/exe", problem);
  const Path waiter = self.parent_path() / "godwit-installer-wait";
  if (problem || ::access(waiter.c_str(), X_OK) != 0) return;
  const auto grace = std::chrono::ceil<std::chrono::seconds>(config.cancel_grace + std::chrono::seconds(5)).count();
  std::vector<std::string> words{waiter.string(),
                                 std::to_string(listen_fd),
                                 std::to_string(lock_fd),
                                 config.socket.string(),
                                 std::to_string(grace),
                                 self.string(),
                                 "serve",
                                 "--config",
                                 flags.config,
                                 "--listen-fd",
                                 std::to_string(listen_fd)};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::fcntl(listen_fd, F_SETFD, 0);
  ::fcntl(lock_fd, F_SETFD, 0);
  ::execv(waiter.c_str(), argv.data());
  ::fcntl(listen_fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(lock_fd, F_SETFD, FD_CLOEXEC);
}

Result<void> run(const Flags& flags) {
  GODWIT_TRY(const InstallerConfig config, godwit::installer::load_installer_config(flags.config));
  GODWIT_TRY(const uid_t agent, godwit::installer::find_user(config.agent_user));
  godwit::FdLog log = make_log(config);
  if (const int given = inherited_socket(); given >= 0)
    return godwit::installer::serve(config, {.listen_fd = given, .agent = agent, .idle_exit = config.idle_exit}, log);
  GODWIT_TRY(const UniqueFd lock, godwit::installer::lock_data_folder(config.data));
  GODWIT_TRY(const UniqueFd socket, godwit::installer::listen_at(config.socket, agent));
  log.info("installer.listens", {{"socket", config.socket.string()},
                                 {"data", config.data.string()},
                                 {"agent_user", agent},
                                 {"version", GODWIT_VERSION}});
  become_waiter(flags, config, socket.get(), lock.get());
  const auto ended =
      godwit::installer::serve(config, {.listen_fd = socket.get(), .agent = agent, .idle_exit = {}}, log);
  ::unlink(config.socket.c_str());
  return ended;
}

/// Started by godwit-installer-wait, with the socket that run() made.
Result<void> serve(const Flags& flags) {
  if (flags.listen_fd < kFirstInheritedFd || ::fcntl(flags.listen_fd, F_SETFD, FD_CLOEXEC) != 0)
    return godwit::fail(Code::invalid_argument, "serve is for godwit-installer-wait; use run");
  GODWIT_TRY(const InstallerConfig config, godwit::installer::load_installer_config(flags.config));
  GODWIT_TRY(const uid_t agent, godwit::installer::find_user(config.agent_user));
  godwit::FdLog log = make_log(config);
  return godwit::installer::serve(config, {.listen_fd = flags.listen_fd, .agent = agent, .idle_exit = config.idle_exit},
                                  log);
}

Result<void> print_config(const Flags& flags, bool config_was_given) {
  InstallerConfig config;
  auto keys = config.schema();
  if (config_was_given) GODWIT_TRY_VOID(keys.load_file(flags.config));
  std::cout << keys.print();
  return {};
}

Result<Path> extensions_file(const Flags& flags) {
  GODWIT_TRY(const InstallerConfig config, godwit::installer::load_installer_config(flags.config));
  return config.extensions_file();
}

int report(const Result<void>& done) {
  if (done) return 0;
  std::cerr << "godwit-installer: " << done.error().message << '\n';
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  if (const int status = godwit::extension::run_if_extension_worker(argc, argv); status >= 0) return status;

  Flags flags;
  CLI::App app{"The privileged half of a Godwit device: verifies updates and runs their steps."};
  app.set_version_flag("--version", "godwit-installer " GODWIT_VERSION);
  const auto* config_flag = app.add_option("--config", flags.config, "Configuration file")->capture_default_str();
  app.add_flag("--print-config", flags.print_config, "Print the effective configuration and end");
  app.fallthrough();
  app.require_subcommand(0, 1);

  app.add_subcommand("run", "Listen for the agent (the default)");
  auto* serve_command = app.add_subcommand("serve", "")->group("");
  serve_command->add_option("--listen-fd", flags.listen_fd);

  auto* extension = app.add_subcommand("extension", "Register, list and remove step handlers and manifest handlers");
  extension->require_subcommand(1);
  extension->fallthrough();
  auto& request = flags.registration;
  auto* add = extension->add_subcommand("register",
                                        "Check a library and write it down; run it again after the library changed");
  add->add_option("--type", request.type, "step-handler or manifest-handler")->required();
  add->add_option("--id", request.id, "Such as microsoft/script:1")->required();
  add->add_flag("--network", request.network, "Let it use the network");
  std::string library;
  add->add_option("--option", request.options,
                  "name=value: what the extension is told in every call; may be given again");
  add->add_option("file", library, "The library (.so); it and the folders above must belong to root")->required();
  auto* list = extension->add_subcommand("list", "Show what is registered");
  auto* remove = extension->add_subcommand("remove", "Forget a registration");
  remove->add_option("--type", request.type, "step-handler or manifest-handler")->required();
  remove->add_option("--id", request.id, "Such as microsoft/script:1")->required();

  CLI11_PARSE(app, argc, argv);

  if (flags.print_config) return report(print_config(flags, config_flag->count() > 0));
  if (serve_command->parsed()) return report(serve(flags));
  if (!extension->parsed()) return report(run(flags));
  const auto file = extensions_file(flags);
  if (!file) return report(tl::unexpected<Error>{file.error()});
  request.library = library;
  if (list->parsed()) return report(godwit::extension::list_extensions(*file, std::cout));
  if (remove->parsed()) return report(godwit::extension::remove_extension(*file, request.type, request.id, std::cout));
  return report(
      godwit::extension::register_extension(*file, {Type::step_handler, Type::manifest_handler}, request, std::cout));
}
