#include "apps/godwitd/config.hpp"

#include <unistd.h>

#include "core/model/ids.hpp"
#include "server/hub/provisioning/registration_id.hpp"

namespace godwit::daemon {

namespace {

void add_limit_keys(config::Schema& schema, Config& config) {
  const auto add = [&schema](std::string name, std::int64_t* target, std::string help) {
    schema.add({.name = std::move(name), .target = target, .help = std::move(help), .minimum = 0});
  };
  add("limits.devices", &config.limit_devices, "Devices that can be updated at most; 0 means no limit, so below.");
  add("limits.groups", &config.limit_groups, "Groups at most, $default included.");
  add("limits.classes", &config.limit_classes, "Device classes at most.");
  add("limits.active_deployments", &config.limit_active_deployments, "Deployments at most that are active or wait.");
  add("limits.deployments", &config.limit_deployments, "Deployments at most that are kept.");
}

void add_rollout_keys(config::Schema& schema, Config& config) {
  schema.add(
      {.name = "rollout.silence_deadline",
       .target = &config.silence_deadline,
       .help = "How long a device may be in progress without a word about the update before it counts as Failed.",
       .minimum = 60'000,
       .maximum = 31'536'000'000});
  schema.add({.name = "rollout.total_deadline",
              .target = &config.total_deadline,
              .help = "How long one try of a device may take in all before it counts as Failed.",
              .minimum = 60'000,
              .maximum = 31'536'000'000});
}

void add_import_keys(config::Schema& schema, Config& config) {
  schema.add({.name = "import.allow_private_addresses",
              .target = &config.import_allow_private_addresses,
              .help = "Lets imports by URL fetch from loopback and private networks."});
  schema.add({.name = "import.ca_file",
              .target = &config.import_ca_file,
              .help = "PEM file of the authorities trusted for imports by URL; empty means the system's."});
  schema.add({.name = "import.require_scan",
              .target = &config.import_require_scan,
              .help = "Refuses an update unless a scanner has read every file of it and found nothing."});
  schema.add({.name = "deltas.versions",
              .target = &config.delta_versions,
              .help = "From how many installed versions, those of most devices first, an import makes deltas for files "
                      "that name the download handler microsoft/delta:1; 0 means none.",
              .minimum = 0,
              .maximum = 4});
  schema.add({.name = "deltas.least_saving",
              .target = &config.delta_least_saving,
              .help = "Percent of the file that a delta must save; what saves less is dropped.",
              .minimum = 1,
              .maximum = 99});
  schema.add({.name = "deltas.largest_file",
              .target = &config.delta_largest_file,
              .help = "No deltas from or to files above this size."});
  schema.add({.name = "deltas.time_limit",
              .target = &config.delta_time_limit,
              .help = "How long one delta may take; it is dropped then.",
              .minimum = 1'000,
              .maximum = 86'400'000});
  schema.add({.name = "deltas.level",
              .target = &config.delta_level,
              .help = "Level of zstd inside a delta: higher takes longer and gives smaller ones.",
              .minimum = 1,
              .maximum = 22});
  schema.add({.name = "scan.kind",
              .target = &config.scan_kind,
              .help = "What looks for malware in the files of an import.",
              .choices = {"none", "clamd", "command"}});
  schema.add({.name = "scan.clamd",
              .target = &config.scan_clamd,
              .help = "Where clamd listens: the path of its socket, or host:port."});
  schema.add({.name = "scan.command",
              .target = &config.scan_command,
              .help =
                  "Program and its arguments; it gets a file on its standard input and exits with 0 (nothing found), "
                  "1 (malware) or anything else (could not tell)."});
  schema.add({.name = "scan.largest_file",
              .target = &config.scan_largest_file,
              .help = "Files above this size are not scanned, and say so; for clamd not above its own StreamMaxLength, "
                      "MaxFileSize and MaxScanSize.",
              .minimum = 1});
  schema.add({.name = "scan.time_limit",
              .target = &config.scan_time_limit,
              .help = "How long the scan of one file may take.",
              .minimum = 1'000,
              .maximum = 86'400'000});
}

void add_blob_keys(config::Schema& schema, Config& config) {
  schema.add({.name = "blobs.keep_upload",
              .target = &config.blobs_keep_upload,
              .help = "How long an upload that was begun waits to be continued.",
              .minimum = 60'000,
              .maximum = 31'536'000'000});
  schema.add({.name = "blobs.keep_unused",
              .target = &config.blobs_keep_unused,
              .help = "How long an uploaded file waits to be imported.",
              .minimum = 60'000,
              .maximum = 31'536'000'000});
  schema.add({.name = "blobs.check_rate",
              .target = &config.blobs_check_rate,
              .help = "Bytes in a second that are read again to find damage of the disk; 0 turns that off.",
              .minimum = 0,
              .maximum = std::int64_t{1} << 40U});
  schema.add({.name = "blobs.check_every",
              .target = &config.blobs_check_every,
              .help = "Time from the end of such a round to the next.",
              .minimum = 60'000,
              .maximum = 31'536'000'000});
}

void add_quota_keys(config::Schema& schema, Config& config) {
  const auto add_count = [&schema](const char* name, std::int64_t* target, std::string help) {
    schema.add({.name = name, .target = target, .help = std::move(help), .minimum = 0});
  };
  const auto add_size = [&schema](const char* name, config::ByteSize* target, std::string help) {
    schema.add({.name = name, .target = target, .help = std::move(help), .minimum = 0});
  };
  add_count("quota.providers", &config.quota_providers, "Providers of updates at most; 0 means no limit.");
  add_count("quota.names_per_provider", &config.quota_names_per_provider,
            "Names of updates of one provider at most; 0 means no limit.");
  add_count("quota.versions_per_name", &config.quota_versions_per_name,
            "Versions of one name at most; 0 means no limit.");
  add_count("quota.updates", &config.quota_updates, "Updates at most; 0 means no limit.");
  add_size("quota.file_size", &config.quota_file_size, "Largest file of an update; 0 means what the format allows.");
  add_size("quota.import_size", &config.quota_import_size,
           "Largest sum of the files of one import; 0 means what the format allows.");
  add_size("quota.storage", &config.quota_storage, "Bytes of all files and uploads at most; 0 means no limit.");
}

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kDay = 24 * 60 * kMinute;

void add_throttle_keys(config::Schema& schema, Config& config) {
  const auto add = [&](std::string name, std::int64_t& target, std::string help) {
    schema.add(
        {.name = std::move(name), .target = &target, .help = std::move(help), .minimum = 0, .maximum = 1'000'000'000});
  };
  add("throttle.reads", config.throttle_reads, "Reading requests a minute of one token or policy; 0 means no limit.");
  add("throttle.writes", config.throttle_writes, "Other requests a minute of one token or policy; 0 means no limit.");
  add("throttle.deployments", config.throttle_deployments,
      "Deployments made, cancelled, retried or deleted a minute by one token; 0 means no limit.");
}

void add_log_keys(config::Schema& schema, Config& config) {
  schema.add({.name = "logs.deadline",
              .target = &config.logs_deadline,
              .help = "How long a device may take to send its logs after they were asked for.",
              .minimum = kMinute,
              .maximum = 365 * kDay});
  schema.add({.name = "logs.retention",
              .target = &config.logs_retention,
              .help = "How long collected logs are kept.",
              .minimum = kMinute,
              .maximum = 3650 * kDay});
  schema.add({.name = "logs.device_bytes",
              .target = &config.logs_device_bytes,
              .help = "Logs of one device in one collection at most.",
              .minimum = 1024});
  schema.add({.name = "logs.total_bytes",
              .target = &config.logs_total_bytes,
              .help = "All logs together at most; beyond it uploads are refused.",
              .minimum = 1024});
}

}  // namespace

namespace {

void add_identity_keys(config::Schema& schema, Config& config) {
  schema.add({.name = "hub.name",
              .target = &config.hub_name,
              .help = "Name of the hub in user names and token scopes of devices; it need not be resolvable."});
  schema.add({.name = "dps.id_scope",
              .target = &config.dps_id_scope,
              .help = "Id scope that devices name when they ask to be provisioned; empty means one that follows from "
                      "hub.name (godwit dps show prints it)."});
  schema.add({.name = "dps.assigned_hub",
              .target = &config.dps_assigned_hub,
              .help = "Host name, with :port if it is not 8883, that provisioned devices are told to connect to; empty "
                      "means api.host, in a further instance hub.name, with hub.port."});
}

void add_listening_keys(config::Schema& schema, Config& config) {
  schema.add({.name = "hub.address", .target = &config.hub_address, .help = "Address that listens for MQTT over TLS."});
  schema.add({.name = "hub.port",
              .target = &config.hub_port,
              .help = "Port for MQTT over TLS; 0 takes a free one.",
              .minimum = 0,
              .maximum = 65535});
  schema.add(
      {.name = "api.host",
       .target = &config.api_host,
       .help =
           "Name or address by which devices and operators reach this machine; the server certificate must cover it."});
  schema.add({.name = "api.address", .target = &config.api_address, .help = "Address that listens for HTTPS."});
  schema.add({.name = "api.port",
              .target = &config.api_port,
              .help = "Port for HTTPS; 0 takes a free one.",
              .minimum = 0,
              .maximum = 65535});
  schema.add({.name = "api.public_url",
              .target = &config.api_public_url,
              .help = "Base of download links when devices come through a proxy, e.g. https://updates.example.com; "
                      "empty means https://HOST:PORT."});
  schema.add({.name = "api.instance",
              .target = &config.api_instance,
              .help = "Id of the first instance in paths of the REST interface; further ones are made with godwitd "
                      "instance create."});
  schema.add({.name = "api.workers",
              .target = &config.api_workers,
              .help = "Threads that run request handlers.",
              .minimum = 1,
              .maximum = 256});
  schema.add({.name = "api.open_metrics",
              .target = &config.api_open_metrics,
              .help = "Serves /metrics without a token; else it needs the permission management/read."});
  schema.add({.name = "api.least_free_disk",
              .target = &config.api_least_free_disk,
              .help = "Below this much free space in the data folder /readyz says no."});
  schema.add(
      {.name = "console.folder",
       .target = &config.console_folder,
       .help = "Folder with the files of the web console; empty means ../share/godwit/console beside the program."});
  add_throttle_keys(schema, config);
}

/// What each instance has of its own.
void add_service_keys(config::Schema& schema, Config& config) {
  schema.add({.name = "download.link_lifetime",
              .target = &config.link_lifetime,
              .help = "How long a download link is valid; links of running deployments are renewed in time.",
              .minimum = 3'600'000,
              .maximum = 31'536'000'000});
  add_limit_keys(schema, config);
  add_rollout_keys(schema, config);
  add_import_keys(schema, config);
  add_blob_keys(schema, config);
  add_quota_keys(schema, config);
  add_log_keys(schema, config);
  schema.add({.name = "telemetry.webhook_url",
              .target = &config.telemetry_webhook_url,
              .help = "Address that gets what devices send, as POSTs of JSON arrays, e.g. "
                      "https://collector.example/godwit; empty means nobody."});
  schema.add({.name = "telemetry.webhook_ca_file",
              .target = &config.telemetry_webhook_ca_file,
              .help = "PEM file of the authorities trusted for the webhook; empty means the system's."});
  schema.add({.name = "telemetry.webhook_token_file",
              .target = &config.telemetry_webhook_token_file,
              .help = "File with the bearer token that the webhook's receiver wants; empty means none."});
}

}  // namespace

config::Schema schema_of(Config& config) {
  config::Schema schema;
  add_identity_keys(schema, config);
  add_listening_keys(schema, config);
  add_service_keys(schema, config);
  schema.add({.name = "log.level",
              .target = &config.log_level,
              .help = "Least important events that are logged.",
              .choices = {"debug", "info", "warning", "error"}});
  schema.add({.name = "log.format",
              .target = &config.log_format,
              .help = "Lines for people or JSON lines for programs.",
              .choices = {"text", "json"}});
  return schema;
}

config::Schema instance_schema_of(Config& config) {
  config::Schema schema;
  add_identity_keys(schema, config);
  add_service_keys(schema, config);
  return schema;
}

service::ScanSettings scan_settings_of(const Config& config) {
  return {.kind = config.scan_kind,
          .clamd = config.scan_clamd,
          .command = config.scan_command,
          .time_limit = config.scan_time_limit};
}

Result<void> check_config(const Config& config) {
  if (const std::string reason = check_instance_id(config.api_instance); !reason.empty())
    return fail(Code::invalid_argument, "api.instance '" + config.api_instance + "' " + reason);
  if (config.hub_name.empty() || config.hub_name.size() > 255 ||
      config.hub_name.find_first_of("/ ?") != std::string::npos)
    return fail(Code::invalid_argument, "hub.name is a host name of 1 to 255 characters without '/', '?' or spaces");
  if (const std::string reason = hub::check_id_scope(config.dps_id_scope);
      !config.dps_id_scope.empty() && !reason.empty())
    return fail(Code::invalid_argument, "dps.id_scope '" + config.dps_id_scope.substr(0, 80) + "' " + reason);
  if (config.dps_assigned_hub.size() > 255 || config.dps_assigned_hub.find_first_of("/ ?") != std::string::npos)
    return fail(Code::invalid_argument,
                "dps.assigned_hub is a host name, with :port if needed, of at most 255 characters");
  if (config.api_host.empty() || config.api_host.find_first_of("/ :") != std::string::npos)
    return fail(Code::invalid_argument, "api.host is a host name or an IPv4 address, without scheme and port");
  if (!config.api_public_url.empty() &&
      (!config.api_public_url.starts_with("https://") || config.api_public_url.ends_with('/')))
    return fail(Code::invalid_argument, "api.public_url begins with https:// and does not end with '/'");
  if (!config.telemetry_webhook_url.empty() && !config.telemetry_webhook_url.starts_with("https://"))
    return fail(Code::invalid_argument, "telemetry.webhook_url begins with https://");
  if (config.telemetry_webhook_url.empty() &&
      (!config.telemetry_webhook_ca_file.empty() || !config.telemetry_webhook_token_file.empty()))
    return fail(Code::invalid_argument, "telemetry.webhook_url is empty, so the other webhook keys mean nothing");
  if (auto scanner = service::make_scanner(scan_settings_of(config)); !scanner)
    return tl::unexpected<Error>{scanner.error()};
  if (config.import_require_scan && config.scan_kind == "none")
    return fail(Code::invalid_argument, "import.require_scan needs a scanner, and scan.kind is none");
  if (config.hub_port != 0 && config.hub_port == config.api_port)
    return fail(Code::invalid_argument, "hub.port and api.port are the same port");
  return {};
}

namespace {

/// What each of them set, for a sentence about all: ", GODWITD_CONFIG_API_PORT, --set hub.port".
Result<std::string> apply_and_name(Config& config, const Overrides& overrides) {
  config::Schema schema = schema_of(config);
  GODWIT_TRY(const auto applied, schema.load_environment(kVariablePrefix, overrides.environment));
  std::string names;
  for (const std::string& name : applied) names += ", " + name;
  for (const std::string& setting : overrides.settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos)
      return fail(Code::invalid_argument, "--set " + setting.substr(0, 80) + ": expected KEY=VALUE");
    const std::string key = setting.substr(0, equals);
    GODWIT_TRY_VOID(schema.set(key, std::string_view(setting).substr(equals + 1), "--set " + key.substr(0, 80)));
    names += ", --set " + key;
  }
  return names;
}

}  // namespace

Result<void> apply_overrides(Config& config, const Overrides& overrides) {
  GODWIT_TRY(const std::string names, apply_and_name(config, overrides));
  static_cast<void>(names);
  return {};
}

std::vector<std::string> own_environment() {
  std::vector<std::string> list;
  for (char** entry = environ; *entry != nullptr; ++entry) list.emplace_back(*entry);
  return list;
}

Result<Config> load_config(const Path& file, const Overrides& overrides) {
  Config config;
  GODWIT_TRY_VOID(schema_of(config).load_file(file));
  GODWIT_TRY(const std::string names, apply_and_name(config, overrides));
  if (const auto checked = check_config(config); !checked) return with_context(file.string() + names, checked.error());
  return config;
}

Result<Config> load_instance_config(const Config& first, std::string id, const Path& file) {
  Config config = first;
  config.api_instance = std::move(id);
  config.hub_name.clear();
  config.dps_id_scope.clear();
  config.dps_assigned_hub.clear();
  GODWIT_TRY_VOID(instance_schema_of(config).load_file(file));
  if (const auto checked = check_config(config); !checked) return with_context(file.string(), checked.error());
  return config;
}

std::string print_variables() {
  Config config;
  std::string text;
  const config::Schema schema = schema_of(config);
  for (const auto& key : schema.keys()) text += config::variable_of(kVariablePrefix, key.name) + " " + key.name + "\n";
  return text;
}

std::string print_config(const Config& config) {
  Config copy = config;
  return schema_of(copy).print();
}

}  // namespace godwit::daemon
