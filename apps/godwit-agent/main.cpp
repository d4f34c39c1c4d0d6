// godwit-agent: the unprivileged half of a device, with network. This file is wiring: flags, configuration, signals;
// what the agent consists of stands in device/agent/agent.cpp.
#include <malloc.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <iostream>
#include <string>

#include "apps/godwit-agent/config_verb.hpp"
#include "apps/godwit-agent/enrol_verb.hpp"
#include "apps/godwit-agent/environment.hpp"
#include "apps/godwit-agent/local_verbs.hpp"
#include "core/base/bytes.hpp"
#include "core/base/service_manager.hpp"
#include "device/agent/agent.hpp"
#include "device/agent/agent_config.hpp"
#include "device/agent/own_log.hpp"
#include "device/agent/workflow.hpp"
#include "device/extension/command.hpp"
#include "device/extension/worker.hpp"

namespace {

using godwit::Error;
using godwit::Path;
using godwit::Result;
using godwit::agent::AgentConfig;
using godwit::extension::Type;

constexpr int kFailed = 1;

struct Flags {
  std::string config = "/etc/godwit/agent.toml";
  bool print_config = false;
  bool print_workflow = false;
  godwit::agent_app::LocalFlags local{};
  godwit::agent_app::ConfigFlags import{};
  godwit::agent_app::EnrolFlags enrol{};
  std::string library{};
  godwit::extension::RegisterRequest registration{};
};

/// SIGTERM and SIGINT as a descriptor; blocked in every thread from here on.
Result<godwit::UniqueFd> end_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  godwit::UniqueFd fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) return tl::unexpected<Error>{godwit::error_from_errno("wait for signals", errno)};
  return fd;
}

std::uint64_t seed() {
  const auto bytes = godwit::random_bytes(sizeof(std::uint64_t));
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8U | static_cast<unsigned char>(byte);
  return value;
}

/// The program as it lies on the disk now: an update may have brought another one.
Result<void> start_anew(char** argv) {
  std::error_code problem;
  Path program = std::filesystem::read_symlink("/proc/self/exe", problem);
  constexpr std::string_view kReplaced = " (deleted)";
  std::string name = program.string();
  if (name.ends_with(kReplaced)) name.resize(name.size() - kReplaced.size());
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(name.c_str(), argv);
  return tl::unexpected<Error>{godwit::error_from_errno("start " + name + " anew", errno)};
}

Result<void> run(const Flags& flags, char** argv) {
  GODWIT_TRY(const AgentConfig config, godwit::agent_app::load_config(flags.config));
  GODWIT_TRY(const auto level, godwit::parse_log_level(config.log_level));
  ::mallopt(M_ARENA_MAX, 1);  // three threads that mostly sleep need no heap of their own
  GODWIT_TRY(const auto end_fd, end_signals());
  const auto manager = godwit::ServiceManager::from_environment();
  const auto format = config.log_format == "json" ? godwit::LogFormat::json : godwit::LogFormat::text;
  godwit::FdLog standard_error(STDERR_FILENO, level, format);
  godwit::agent::OwnLog log(standard_error, config.own_log_folder(), config.log_keep.value, level, format);
  const godwit::SystemClock clock;
  godwit::SeededRandom random(seed());
  GODWIT_TRY(const auto end,
             godwit::agent::run_agent(config, {.end_fd = end_fd.get(), .manager = manager}, clock, random, log));
  if (end == godwit::agent::AgentEnd::restart) {
    manager.put_back();
    return start_anew(argv);
  }
  return {};
}

Result<void> print_config(const Flags& flags, bool config_was_given) {
  AgentConfig config;
  auto keys = config.schema();
  if (config_was_given) GODWIT_TRY_VOID(keys.load_file(flags.config));
  std::cout << keys.print();
  return {};
}

Result<void> extensions(const Flags& flags, const CLI::App& list, const CLI::App& remove) {
  GODWIT_TRY(const AgentConfig config, godwit::agent_app::load_config(flags.config));
  const Path file = config.extensions_file();
  if (list.parsed()) return godwit::extension::list_extensions(file, std::cout);
  if (remove.parsed())
    return godwit::extension::remove_extension(file, flags.registration.type, flags.registration.id, std::cout);
  GODWIT_TRY_VOID(godwit::make_folders(config.data));
  auto request = flags.registration;
  request.library = flags.library;
  return godwit::extension::register_extension(
      file, {Type::content_downloader, Type::download_handler, Type::component_enumerator}, request, std::cout);
}

int report(const Result<void>& done) {
  if (done) return 0;
  std::cerr << "godwit-agent: " << done.error().message << '\n';
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  if (const int status = godwit::extension::run_if_extension_worker(argc, argv); status >= 0) return status;

  Flags flags;
  CLI::App app{
      "The unprivileged half of a Godwit device: talks to the hub, downloads updates and leads them through their "
      "steps."};
  app.set_version_flag("--version", "godwit-agent " GODWIT_VERSION);
  const auto* config_flag = app.add_option("--config", flags.config, "Configuration file")->capture_default_str();
  app.add_flag("--print-config", flags.print_config, "Print the effective configuration and end");
  app.add_flag("--print-workflow", flags.print_workflow, "Print the workflow table as a Markdown page and end");
  app.fallthrough();
  app.require_subcommand(0, 1);

  app.add_subcommand("run", "Keep the device up to date (the default)");
  godwit::agent_app::add_local_verbs(app, flags.local);
  godwit::agent_app::add_config_verb(app, flags.import);
  godwit::agent_app::add_enrol_verb(app, flags.enrol);

  auto* extension = app.add_subcommand(
      "extension", "Register, list and remove content downloaders, download handlers and component enumerators");
  extension->require_subcommand(1);
  extension->fallthrough();
  auto& request = flags.registration;
  constexpr const char* kTypes = "content-downloader, download-handler or component-enumerator";
  auto* add = extension->add_subcommand("register",
                                        "Check a library and write it down; run it again after the library changed");
  add->add_option("--type", request.type, kTypes)->required();
  add->add_option("--id", request.id, "Such as microsoft/delta:1")->required();
  add->add_flag("--network", request.network, "Accepted for any type; the agent's extensions have the network anyway");
  add->add_option("--option", request.options,
                  "name=value: what the extension is told in every call; may be given again");
  add->add_option("file", flags.library, "The library (.so)")->required();
  auto* list = extension->add_subcommand("list", "Show what is registered");
  auto* remove = extension->add_subcommand("remove", "Forget a registration");
  remove->add_option("--type", request.type, kTypes)->required();
  remove->add_option("--id", request.id, "Such as microsoft/delta:1")->required();

  CLI11_PARSE(app, argc, argv);

  if (flags.print_workflow) {
    std::cout << godwit::agent::print_workflow();
    return 0;
  }
  if (flags.print_config) return report(print_config(flags, config_flag->count() > 0));
  if (const int code = godwit::agent_app::run_local_verb(app, flags.local, flags.config); code >= 0) return code;
  if (app.got_subcommand("enrol")) return report(godwit::agent_app::enrol(flags.enrol));
  if (app.got_subcommand("config")) return report(godwit::agent_app::import_config(flags.import));
  if (extension->parsed()) return report(extensions(flags, *list, *remove));
  return report(run(flags, argv));
}
