// godwitd: hub, REST interface, payloads and deployments in one process. Wiring only.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "apps/godwitd/health.hpp"
#include "apps/godwitd/init.hpp"
#include "apps/godwitd/instances.hpp"
#include "apps/godwitd/root_keys.hpp"
#include "apps/godwitd/signing_key.hpp"
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
  std::cout << daemon::describe_installation(layout,
                                             starts ? daemon::Reader::has_it_running : daemon::Reader::starts_it);
  if (!options.hosts.empty())
    if (const std::string problem = daemon::why_unreachable(options.hosts.front()); !problem.empty())
      std::cerr << "godwitd: " << problem << "\n";
  return 0;
}

CLI::Option* add_data_option(CLI::App& verb, std::string& data, const std::string& help) {
  return verb.add_option("--data", data, help)->envname("GODWITD_DATA")->capture_default_str();
}

struct InstanceFlags {
  std::string data = kPackagedData;
  std::string id{};
  std::string hub_name{};
  std::string confirmed{};
};

Result<void> run_instance_verb(const CLI::App& app, const InstanceFlags& flags) {
  const daemon::Layout layout{std::filesystem::absolute(flags.data)};
  GODWIT_TRY(const daemon::Config config,
             daemon::load_config(layout.config(), {.environment = daemon::own_environment(), .settings = {}}));
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
  for (CLI::App* verb : {create, list, remove}) add_data_option(*verb, flags.data, "Data folder of the installation");
}

/// Of what the root keys sign: their own package, and with it a signing key.
struct RootKeysFlags {
  std::string data = kPackagedData;
  std::vector<std::string> keys{};
  std::optional<int> days{};
  std::optional<std::int64_t> version{};

  [[nodiscard]] daemon::RenewOptions options() const {
    return {.keys = {keys.begin(), keys.end()}, .days = days, .version = version};
  }
};

constexpr std::string_view kAfterStart =
    "Devices are told of it after the next start of godwitd: systemctl restart godwitd\n";

void add_renewal_options(CLI::App& renew, RootKeysFlags& flags) {
  constexpr int kLongest = 3650;
  renew.add_option("--key", flags.keys, "PEM file of a private root key; each is needed")->required();
  renew.add_option("--days", flags.days, "Devices refuse updates after so many days unless it is renewed; 0: no end")
      ->check(CLI::Range(0, kLongest))
      ->default_str("as long as the one before");
  renew.add_option("--package-version", flags.version, "Its number; devices refuse one below what they have seen")
      ->check(CLI::PositiveNumber)
      ->default_str("the next");
}

void add_root_keys_verbs(CLI::App& app, RootKeysFlags& flags) {
  app.require_subcommand(1);
  auto* show = app.add_subcommand("show", "Show version and end of the package, and its keys");
  auto* renew = app.add_subcommand("renew", "Sign the next version with the root keys, and put it in place");
  add_renewal_options(*renew, flags);
  for (CLI::App* verb : {show, renew}) add_data_option(*verb, flags.data, "Data folder of the installation");
}

Result<void> run_root_keys_verb(const CLI::App& app, const RootKeysFlags& flags) {
  const daemon::Layout layout{std::filesystem::absolute(flags.data)};
  GODWIT_TRY_VOID(daemon::finish_key_change(layout));
  const bool renews = app.got_subcommand("renew");
  if (renews) GODWIT_TRY_VOID(daemon::renew_root_keys(layout, flags.options()));
  GODWIT_TRY(const auto now, daemon::read_root_keys(layout));
  std::cout << daemon::describe_root_keys(now.package, SystemClock{}.now());
  if (renews) std::cout << kAfterStart;
  return {};
}

void add_signing_key_verbs(CLI::App& app, RootKeysFlags& flags) {
  app.require_subcommand(1);
  auto* show = app.add_subcommand("show", "Show the key, and whether devices take what it signs");
  auto* replace =
      app.add_subcommand("replace", "Make another key, and disable this one in the next package of root keys");
  add_renewal_options(*replace, flags);
  for (CLI::App* verb : {show, replace}) add_data_option(*verb, flags.data, "Data folder of the installation");
}

Result<void> run_signing_key_verb(const CLI::App& app, const RootKeysFlags& flags) {
  const daemon::Layout layout{std::filesystem::absolute(flags.data)};
  GODWIT_TRY_VOID(daemon::finish_key_change(layout));
  const bool replaces = app.got_subcommand("replace");
  GODWIT_TRY(const auto key,
             replaces ? daemon::replace_signing_key(layout, flags.options()) : daemon::read_signing_key(layout));
  std::cout << daemon::describe_signing_key(key);
  if (replaces) std::cout << kAfterStart << "That start signs anew what was imported before.\n";
  return {};
}

struct RunFlags {
  std::string data = kPackagedData;
  std::string config_file{};
  std::vector<std::string> settings{};
  bool makes_folder = false;
  bool only_prints = false;
  bool asks_alive = false;  // of health
};

/// The folder of a container's empty volume. Errors: those of init; invalid_argument when nobody said what to put into
/// certificate and links: the name of a container is none that a device could reach.
Result<void> make_missing_folder(const daemon::Layout& layout, const daemon::Overrides& overrides) {
  std::error_code ignored;
  if (std::filesystem::exists(layout.config(), ignored)) return {};
  daemon::InitOptions options;
  options.config.api_host.clear();
  GODWIT_TRY_VOID(daemon::apply_overrides(options.config, overrides));
  if (options.config.api_host.empty())
    return fail(Code::invalid_argument, "run --init has to know the name by which devices reach this service: set " +
                                            config::variable_of(daemon::kVariablePrefix, "api.host") +
                                            " to it, or use --set api.host=NAME");
  options.hosts = {options.config.api_host};
  GODWIT_TRY_VOID(daemon::init(layout.data, options));
  std::cerr << daemon::describe_installation(layout, daemon::Reader::reads_a_log) << std::flush;
  return {};
}

int run_service(const RunFlags& flags) {
  const daemon::Layout layout{std::filesystem::absolute(flags.data)};
  const daemon::Overrides overrides{.environment = daemon::own_environment(), .settings = flags.settings};
  const Path file = flags.config_file.empty() ? layout.config() : Path(flags.config_file);
  if (flags.makes_folder)
    if (const auto made = make_missing_folder(layout, overrides); !made) return fail_with(made.error());
  std::error_code ignored;
  if (flags.config_file.empty() && !std::filesystem::exists(file, ignored))
    return fail_with(
        {Code::not_found,
         "'" + layout.data.string() +
             "' is not a data folder of godwitd (it has no godwit.toml); make one with: godwitd init --data " +
             layout.data.string()});
  const auto config = daemon::load_config(file, overrides);
  if (!config) return fail_with(config.error());
  if (flags.only_prints) {
    std::cout << daemon::print_config(*config);
    return 0;
  }
  daemon::block_signals();
  FdLog log(STDERR_FILENO, parse_log_level(config->log_level).value_or(LogLevel::info),
            config->log_format == "json" ? LogFormat::json : LogFormat::text);
  const auto ended = daemon::run(*config, layout, log);
  return ended ? 0 : fail_with(ended.error());
}

int run_health(const RunFlags& flags) {
  const daemon::Layout layout{std::filesystem::absolute(flags.data)};
  const Path file = flags.config_file.empty() ? layout.config() : Path(flags.config_file);
  const auto config = daemon::load_config(file, {.environment = daemon::own_environment(), .settings = flags.settings});
  if (!config) return fail_with(config.error());
  const auto health = daemon::check_health(
      *config, layout, flags.asks_alive ? daemon::HealthQuestion::alive : daemon::HealthQuestion::ready);
  if (!health) return fail_with(health.error());
  std::cout << (flags.asks_alive ? "alive" : "ready") << "\n";
  return 0;
}

void add_init_flags(CLI::App& init, daemon::InitOptions& options, std::string& data, bool& only_make) {
  add_data_option(init, data, "Folder to make");
  init.add_flag("--no-start", only_make, "Make only; else the installed service of this folder is started");
  init.add_option("--host", options.hosts,
                  "Name or address of this machine, first the one devices use; may be repeated");
  init.add_option("--hub-name", options.config.hub_name, "Name of the hub in user names and token scopes")
      ->capture_default_str();
  init.add_option("--hub-port", options.config.hub_port, "Port for MQTT over TLS; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  init.add_option("--api-port", options.config.api_port, "Port for HTTPS; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
}

void add_run_flags(CLI::App& run, RunFlags& flags) {
  add_data_option(run, flags.data, "Data folder");
  run.add_option("--config", flags.config_file, "Configuration file instead of DATA/godwit.toml");
  run.add_option("--set", flags.settings,
                 "KEY=VALUE, e.g. api.port=443: stronger than the environment (GODWITD_CONFIG_API_PORT), which is "
                 "stronger than the file; may be repeated")
      ->take_all();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The Godwit service: device hub, REST interface, payloads and deployments");
  app.set_version_flag("--version", std::string("godwitd ") + GODWIT_VERSION);
  bool print_defaults = false;
  app.add_flag("--print-config", print_defaults, "Print the default configuration with comments");

  bool print_variables = false;
  app.add_flag("--print-variables", print_variables,
               "Print the environment variables that set keys of the configuration");

  std::string data = kPackagedData;
  daemon::InitOptions options;
  bool only_make = false;
  CLI::App* init = app.add_subcommand("init", "Make a data folder: certificates, keys, database, administrator token");
  add_init_flags(*init, options, data, only_make);
  RunFlags flags;
  CLI::App* run = app.add_subcommand("run", "Serve until SIGTERM or SIGINT");
  add_run_flags(*run, flags);
  run->add_flag("--init", flags.makes_folder,
                "Make the data folder first where there is none; needs api.host to be set");
  run->add_flag("--print-config", flags.only_prints, "Print the effective configuration and end");
  CLI::App* health = app.add_subcommand("health", "Ask the service of this machine whether it serves (GET /readyz)");
  add_run_flags(*health, flags);
  health->add_flag("--alive", flags.asks_alive, "Ask only whether it answers (GET /healthz)");
  InstanceFlags instance_flags;
  CLI::App* instance = app.add_subcommand("instance", "Make, show and remove further instances in one service");
  add_instance_verbs(*instance, instance_flags);
  RootKeysFlags root_keys_flags;
  CLI::App* root_keys = app.add_subcommand("root-keys", "Show and renew the package of root keys that devices trust");
  add_root_keys_verbs(*root_keys, root_keys_flags);
  RootKeysFlags signing_key_flags;
  CLI::App* signing_key = app.add_subcommand("signing-key", "Show and replace the key that signs updates for devices");
  add_signing_key_verbs(*signing_key, signing_key_flags);
  app.require_subcommand(0, 1);
  // Before the flags are read, so that those win; a mistake in it must not keep anybody from --help.
  options.config.api_host.clear();  // the host name, unless somebody says another
  const auto of_environment =
      daemon::apply_overrides(options.config, {.environment = daemon::own_environment(), .settings = {}});
  if (of_environment && !options.config.api_host.empty()) options.hosts = {options.config.api_host};
  CLI11_PARSE(app, argc, argv);

  if (*init) return of_environment ? run_init(data, options, only_make) : fail_with(of_environment.error());
  if (*instance) {
    const auto done = run_instance_verb(*instance, instance_flags);
    return done ? 0 : fail_with(done.error());
  }
  if (*root_keys) {
    const auto done = run_root_keys_verb(*root_keys, root_keys_flags);
    return done ? 0 : fail_with(done.error());
  }
  if (*signing_key) {
    const auto done = run_signing_key_verb(*signing_key, signing_key_flags);
    return done ? 0 : fail_with(done.error());
  }
  if (*run) return run_service(flags);
  if (*health) return run_health(flags);
  if (print_variables) {
    std::cout << daemon::print_variables();
    return 0;
  }
  if (print_defaults) {
    std::cout << daemon::print_config(daemon::Config{});
    return 0;
  }
  std::cout << app.help();
  return 2;
}
