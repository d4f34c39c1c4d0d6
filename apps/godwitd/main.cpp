// godwitd: hub, REST interface, payloads and deployments in one process. Wiring only.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "apps/godwitd/init.hpp"
#include "apps/godwitd/instances.hpp"
#include "apps/godwitd/root_keys.hpp"
#include "apps/godwitd/wiring.hpp"
#include "core/base/service_manager.hpp"

namespace {

using namespace godwit;

int fail_with(const Error& error) {
  std::cerr << "godwitd: " << error.message << "\n";
  return 1;
}

constexpr const char* kPackagedData = "/var/lib/godwitd";  // what godwitd.service serves

/// Whether this data folder is the one of the installed unit, and this user may start it.
bool is_of_the_unit(const Path& data) {
  std::error_code ignored;
  return data == Path(kPackagedData) && ::geteuid() == 0 && is_systemd_here() &&
         std::filesystem::exists("/lib/systemd/system/godwitd.service", ignored);
}

/// Waits until the service says that it is ready. Errors: unavailable with the command that tells why.
Result<void> start_unit() {
  if (const auto started = systemctl({"start", "godwitd.service"}); !started)
    return fail(Code::unavailable, "the installation is made, but godwitd.service did not start (" +
                                       started.error().message + "); see: journalctl -u godwitd.service");
  return {};
}

int run_init(const Path& data, const daemon::InitOptions& options, bool only_make) {
  if (const auto made = daemon::init(data, options); !made) return fail_with(made.error());
  const daemon::Layout layout{std::filesystem::absolute(data)};
  const bool starts = !only_make && is_of_the_unit(layout.data);
  if (starts)
    if (const auto started = start_unit(); !started) return fail_with(started.error());
  std::cout << daemon::describe_installation(layout, starts);
  return 0;
}

struct InstanceFlags {
  std::string data = kPackagedData;
  std::string id{};
  std::string hub_name{};
  std::string confirmed{};
};

Result<void> run_instance_verb(const CLI::App& app, const InstanceFlags& flags) {
  const daemon::Layout layout{std::filesystem::absolute(flags.data)};
  GODWIT_TRY(const daemon::Config config, daemon::load_config(layout.config()));
  if (app.got_subcommand("create")) {
    GODWIT_TRY_VOID(daemon::create_instance(config, layout, flags.id, flags.hub_name));
    std::cout << "Made the instance '" << flags.id << "' in " << layout.instance(flags.id).data.string()
              << ".\nIt is there after the next start of godwitd. Operators: godwit --instance " << flags.id
              << " ...\nDevices name the hub '" << flags.hub_name << "' in their user names and tokens.\n";
    return {};
  }
  if (app.got_subcommand("remove")) {
    GODWIT_TRY_VOID(daemon::remove_instance(layout, flags.id, flags.confirmed));
    std::cout << "The instance '" << flags.id << "' and all it held is removed.\n";
    return {};
  }
  GODWIT_TRY(const auto further, daemon::find_instances(config, layout));
  std::cout << daemon::describe_instances(config, layout, further);
  return {};
}

void add_instance_verbs(CLI::App& app, InstanceFlags& flags) {
  app.require_subcommand(1);
  auto* create = app.add_subcommand("create", "Make a further instance, isolated from the others");
  create->add_option("id", flags.id, "3 to 36 letters, digits and '-'")->required();
  create->add_option("--hub-name", flags.hub_name, "Name of its hub in user names and token scopes of its devices")
      ->required();
  auto* list = app.add_subcommand("list", "Show all instances");
  auto* remove = app.add_subcommand("remove", "Delete a further instance with all it holds");
  remove->add_option("id", flags.id, "Which")->required();
  remove->add_option("--delete-everything", flags.confirmed, "Its id once more");
  for (CLI::App* verb : {create, list, remove})
    verb->add_option("--data", flags.data, "Data folder of the installation")->capture_default_str();
}

struct RootKeysFlags {
  std::string data = kPackagedData;
  std::vector<std::string> keys{};
  std::optional<int> days{};
};

void add_root_keys_verbs(CLI::App& app, RootKeysFlags& flags) {
  constexpr int kLongest = 3650;
  app.require_subcommand(1);
  auto* show = app.add_subcommand("show", "Show version and end of the package, and its keys");
  auto* renew = app.add_subcommand("renew", "Sign the next version with the root keys, and put it in place");
  renew->add_option("--key", flags.keys, "PEM file of a private root key; each is needed")->required();
  renew->add_option("--days", flags.days, "Devices refuse updates after so many days unless it is renewed; 0: no end")
      ->check(CLI::Range(0, kLongest))
      ->default_str("as long as the one before");
  for (CLI::App* verb : {show, renew})
    verb->add_option("--data", flags.data, "Data folder of the installation")->capture_default_str();
}

Result<void> run_root_keys_verb(const CLI::App& app, const RootKeysFlags& flags) {
  const daemon::Layout layout{std::filesystem::absolute(flags.data)};
  const bool renews = app.got_subcommand("renew");
  if (renews) {
    const daemon::RenewOptions options{.keys = {flags.keys.begin(), flags.keys.end()}, .days = flags.days};
    GODWIT_TRY_VOID(daemon::renew_root_keys(layout, options));
  }
  GODWIT_TRY(const auto now, daemon::read_root_keys(layout));
  std::cout << daemon::describe_root_keys(now.package, SystemClock{}.now());
  if (renews) std::cout << "Devices are told of it after the next start of godwitd: systemctl restart godwitd\n";
  return {};
}

int run_service(const Path& data, const Path& config_file, bool only_print) {
  const daemon::Layout layout{std::filesystem::absolute(data)};
  const Path file = config_file.empty() ? layout.config() : config_file;
  std::error_code ignored;
  if (config_file.empty() && !std::filesystem::exists(file, ignored))
    return fail_with(
        {Code::not_found,
         "'" + layout.data.string() +
             "' is not a data folder of godwitd (it has no godwit.toml); make one with: godwitd init --data " +
             layout.data.string()});
  const auto config = daemon::load_config(file);
  if (!config) return fail_with(config.error());
  if (only_print) {
    std::cout << daemon::print_config(*config);
    return 0;
  }
  daemon::block_signals();
  FdLog log(STDERR_FILENO, parse_log_level(config->log_level).value_or(LogLevel::info),
            config->log_format == "json" ? LogFormat::json : LogFormat::text);
  const auto ended = daemon::run(*config, layout, log);
  return ended ? 0 : fail_with(ended.error());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The Godwit service: device hub, REST interface, payloads and deployments");
  app.set_version_flag("--version", std::string("godwitd ") + GODWIT_VERSION);
  bool print_defaults = false;
  app.add_flag("--print-config", print_defaults, "Print the default configuration with comments");

  std::string data = kPackagedData;
  daemon::InitOptions options;
  CLI::App* init = app.add_subcommand("init", "Make a data folder: certificates, keys, database, administrator token");
  init->add_option("--data", data, "Folder to make")->capture_default_str();
  bool only_make = false;
  init->add_flag("--no-start", only_make, "Make only; else the installed service of this folder is started");
  init->add_option("--host", options.hosts,
                   "Name or address of this machine, first the one devices use; may be repeated");
  init->add_option("--hub-name", options.config.hub_name, "Name of the hub in user names and token scopes")
      ->capture_default_str();
  init->add_option("--hub-port", options.config.hub_port, "Port for MQTT over TLS; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  init->add_option("--api-port", options.config.api_port, "Port for HTTPS; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();

  std::string config_file;
  bool print_config = false;
  CLI::App* run = app.add_subcommand("run", "Serve until SIGTERM or SIGINT");
  run->add_option("--data", data, "Data folder")->capture_default_str();
  run->add_option("--config", config_file, "Configuration file instead of DATA/godwit.toml");
  run->add_flag("--print-config", print_config, "Print the effective configuration and end");
  InstanceFlags instance_flags;
  CLI::App* instance = app.add_subcommand("instance", "Make, show and remove further instances in one service");
  add_instance_verbs(*instance, instance_flags);
  RootKeysFlags root_keys_flags;
  CLI::App* root_keys = app.add_subcommand("root-keys", "Show and renew the package of root keys that devices trust");
  add_root_keys_verbs(*root_keys, root_keys_flags);
  app.require_subcommand(0, 1);
  CLI11_PARSE(app, argc, argv);

  if (*init) return run_init(data, options, only_make);
  if (*instance) {
    const auto done = run_instance_verb(*instance, instance_flags);
    return done ? 0 : fail_with(done.error());
  }
  if (*root_keys) {
    const auto done = run_root_keys_verb(*root_keys, root_keys_flags);
    return done ? 0 : fail_with(done.error());
  }
  if (*run) return run_service(data, config_file, print_config);
  if (print_defaults) {
    std::cout << daemon::print_config(daemon::Config{});
    return 0;
  }
  std::cout << app.help();
  return 2;
}
