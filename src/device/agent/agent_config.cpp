#include "device/agent/agent_config.hpp"

#include <algorithm>
#include <set>

#include "core/base/text.hpp"
#include "core/model/ids.hpp"
#include "device/agent/hardware_key.hpp"
#include "device/agent/log_files.hpp"
#include "device/agent/sources.hpp"

namespace godwit::agent {
namespace {

constexpr std::size_t kSourcesLimit = 8;
constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

Result<void> need(bool there, std::string_view key, std::string_view what) {
  if (there) return {};
  return fail(Code::invalid_argument, std::string(key) + " is missing: " + std::string(what));
}

/// Who says which hub: the configuration, or a provisioning service.
Result<void> check_place(const AgentConfig& config) {
  if (!config.is_provisioned()) {
    GODWIT_TRY_VOID(need(!config.hub_host.empty(), "hub.host",
                         "write the name of the hub, e.g. \"updates.example.org\", or set provisioning.id_scope"));
    GODWIT_TRY_VOID(
        need(!config.device_id.empty(), "hub.device_id", "write the id under which this device is registered"));
    if (!config.registration_id.empty() || !config.group_key_file.empty())
      return fail(Code::invalid_argument, "the section provisioning is there without provisioning.id_scope");
    const std::string reason = check_device_id(config.device_id);
    return reason.empty() ? Result<void>{} : fail(Code::invalid_argument, "hub.device_id " + reason);
  }
  for (const auto& [key, text] : {std::pair{"hub.host", config.hub_host},
                                  {"hub.device_id", config.device_id},
                                  {"hub.name", config.hub_name},
                                  {"hub.tls_name", config.hub_tls_name}})
    if (!text.empty())
      return fail(Code::invalid_argument, std::string(key) +
                                              " is set beside provisioning.id_scope, but the "
                                              "provisioning service says that: keep one of them");
  GODWIT_TRY_VOID(need(!config.provisioning_host.empty(), "provisioning.host", "write the service's name"));
  const std::string& id = config.registration_id;
  const bool is_good = id.size() <= 128 && std::ranges::all_of(id, [](char c) {
                         return (c >= '0' && c <= '9') || (to_lower(c) >= 'a' && to_lower(c) <= 'z') ||
                                std::string_view("-._:").find(c) != std::string_view::npos;
                       });
  if (!is_good)
    return fail(Code::invalid_argument,
                "provisioning.registration_id has other characters than letters, digits and "
                "- . _ :, or more than 128");
  return need(!id.empty(), "provisioning.registration_id", "write the id under which this device asks");
}

/// How the device proves itself: by exactly one of key and certificate.
Result<void> check_credential(AgentConfig& config) {
  if (!config.key_file.empty() && !config.certificate_file.empty())
    return fail(Code::invalid_argument,
                "hub.key_file and hub.certificate_file are both set, but a device proves itself by one of them: keep "
                "the one under which it is registered");
  if (config.certificate_file.empty() && !config.certificate_key.empty())
    return fail(Code::invalid_argument,
                "hub.certificate_key is set without hub.certificate_file: write the path of the certificate too");
  if (config.certificate_file.empty() && !config.certificate_key_file.empty())
    return fail(Code::invalid_argument,
                "hub.certificate_key_file is set without hub.certificate_file: write the path of the certificate too");
  if (!config.group_key_file.empty() && (!config.key_file.empty() || !config.certificate_file.empty()))
    return fail(
        Code::invalid_argument,
        "provisioning.group_key_file is set beside a key or certificate of the device itself: keep one of them");
  if (!config.group_key_file.empty()) return {};
  if (config.certificate_file.empty())
    return need(!config.key_file.empty(), "hub.key_file",
                "write the path of the file with the device's key, or set hub.certificate_file");
  if (!config.certificate_key.empty()) {
    if (!config.certificate_key_file.empty())
      return fail(Code::invalid_argument,
                  "hub.certificate_key and hub.certificate_key_file are both set: keep the one where the key is");
    const std::string wrong = check_key_uri(config.certificate_key);
    return wrong.empty() ? Result<void>{} : fail(Code::invalid_argument, "hub.certificate_key " + wrong);
  }
  if (config.certificate_key_file.empty()) config.certificate_key_file = config.certificate_file;
  return {};
}

/// Whose word counts is said in one place: two answers would let the weaker one win.
Result<void> check_trust(const AgentConfig& config) {
  if (config.trust == "system" && !config.ca_file.empty())
    return fail(
        Code::invalid_argument,
        "hub.ca_file is set, but hub.trust = \"system\" looks at the authorities of the system: keep one of them");
  return need(config.trust == "system" || !config.ca_file.empty(), "hub.ca_file",
              "write the path of the PEM file of the hub's authority, or hub.trust = \"system\"");
}

Result<void> check_properties(const AgentConfig& config) {
  std::set<std::string> names{"manufacturer", "model"};
  for (const auto& line : config.properties) {
    const auto equals = line.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == line.size())
      return fail(Code::invalid_argument, "device.properties: '" + line + "' must look like \"location=plant7\"");
    if (!names.insert(line.substr(0, equals)).second)
      return fail(Code::invalid_argument, "device.properties: '" + line.substr(0, equals) +
                                              "' is given twice or belongs to device.manufacturer or device.model");
  }
  if (config.compat_property_names.empty() || config.compat_property_names.size() > 5)
    return fail(Code::invalid_argument, "device.compat_property_names must hold 1 to 5 names");
  for (const auto& name : config.compat_property_names) {
    if (!names.contains(name))
      return fail(Code::invalid_argument,
                  "device.compat_property_names names '" + name + "', but device.properties has no such property");
  }
  return {};
}

Result<void> check_sources(const AgentConfig& config) {
  if (config.download_sources.size() > kSourcesLimit)
    return fail(Code::invalid_argument, "download.sources has more than " + std::to_string(kSourcesLimit) +
                                            " entries: the best first, few of them");
  for (const auto& source : config.download_sources)
    if (const std::string reason = check_source(source, config.allow_http); !reason.empty())
      return fail(Code::invalid_argument, "download.sources: '" + source.substr(0, 200) + "' " + reason);
  return {};
}

Result<void> check_logs(const AgentConfig& config) {
  std::set<std::string> names{"agent"};
  for (const auto& text : config.log_paths) {
    const auto source = parse_log_path(text);
    if (!source) return with_context("logs.paths", source.error());
    if (!names.insert(source->name).second)
      return fail(Code::invalid_argument,
                  "logs.paths: '" + source->name + "' is given twice, or is the agent's own name");
  }
  for (const auto& unit : config.log_units)
    if (const std::string reason = check_log_source_name(unit); !reason.empty() || unit.starts_with('-'))
      return fail(Code::invalid_argument, "logs.units: '" + unit + "' " + (reason.empty() ? "is no unit" : reason));
  return {};
}

}  // namespace

void AgentConfig::add_hub_keys(config::Schema& keys) {
  keys.add({.name = "hub.host", .target = &hub_host, .help = "Name or address of the hub to connect to; needed."});
  keys.add({.name = "hub.port",
            .target = &hub_port,
            .help = "Port of the hub (MQTT over TLS).",
            .minimum = 1,
            .maximum = 65535});
  keys.add({.name = "hub.name",
            .target = &hub_name,
            .help = "Name of the hub in user names and tokens; empty: the same as hub.host."});
  keys.add({.name = "hub.tls_name",
            .target = &hub_tls_name,
            .help = "Name or address that the hub's certificate must carry; empty: the same as hub.host."});
  keys.add(
      {.name = "hub.device_id", .target = &device_id, .help = "Id under which this device is registered; needed."});
  keys.add({.name = "hub.key_file",
            .target = &key_file,
            .help = "File with the device's key in base64, readable by the agent only; needed unless "
                    "hub.certificate_file is set."});
  keys.add({.name = "hub.certificate_file",
            .target = &certificate_file,
            .help = "PEM file with the device's certificate, followed by those of the authorities below the root; "
                    "instead of hub.key_file. A renewed file is taken into use within half a minute."});
  keys.add({.name = "hub.certificate_key_file",
            .target = &certificate_key_file,
            .help = "PEM file with the private key of hub.certificate_file, without a passphrase, readable by the "
                    "agent only; empty: it is in the same file."});
  keys.add({.name = "hub.certificate_key",
            .target = &certificate_key,
            .help = "Private key of hub.certificate_file in hardware, in place of hub.certificate_key_file: "
                    "\"pkcs11:token=...;object=...?pin-source=file:...\" or a key of the TPM, \"handle:0x81000001\"."});
  keys.add({.name = "hub.ca_file",
            .target = &ca_file,
            .help = "PEM file with the authorities that the hub's certificate may come from; needed unless hub.trust "
                    "is \"system\". Revocation lists of theirs in it count, whatever their age."});
  keys.add({.name = "hub.trust",
            .target = &trust,
            .help = "Whose word on the hub's certificate counts: that of the authorities in hub.ca_file, or of those "
                    "that the system trusts.",
            .choices = {"file", "system"}});
  keys.add({.name = "hub.keep_alive",
            .target = &keep_alive,
            .help = "Longest silence before the agent asks whether the hub is still there.",
            .minimum = 5 * kSecond,
            .maximum = 1177 * kSecond});
  keys.add({.name = "hub.token_lifetime",
            .target = &token_lifetime,
            .help = "How long an access token is good; the agent reconnects with a new one before.",
            .minimum = 10 * kSecond,
            .maximum = 30 * kDay});
  keys.add({.name = "hub.connect_timeout",
            .target = &connect_timeout,
            .help = "Time for name, connection, TLS and welcome together.",
            .minimum = kSecond,
            .maximum = 10 * kMinute});
  keys.add(
      {.name = "hub.reconnect_limit",
       .target = &reconnect_limit,
       .help = "Longest wait between two attempts to connect; waits double with jitter, from one second, ten where the "
               "hub has no time, thirty where it refuses the device.",
       .minimum = kSecond,
       .maximum = kDay});
  keys.add({.name = "hub.reconnect_spread",
            .target = &reconnect_spread,
            .help = "After a connection was cut the device comes back within this time, at a moment of chance: a fleet "
                    "whose hub restarts does not come at once.",
            .minimum = 0,
            .maximum = kDay});
}

void AgentConfig::add_connection_keys(config::Schema& keys) {
  keys.add({.name = "connection.transport",
            .target = &transport,
            .help = "Way to the hub: MQTT on hub.port, MQTT in a WebSocket on connection.websocket_port, or whichever "
                    "works; what worked is remembered.",
            .choices = {"auto", "mqtt", "websocket"}});
  keys.add({.name = "connection.websocket_port",
            .target = &websocket_port,
            .help = "Port of the hub for WebSocket.",
            .minimum = 1,
            .maximum = 65535});
  keys.add({.name = "connection.proxy",
            .target = &proxy,
            .help =
                "HTTP proxy on the way to the hub, \"http://host:port\"; \"none\": no proxy; empty: what https_proxy "
                "and no_proxy in the environment say."});
  keys.add({.name = "connection.proxy_credentials_file",
            .target = &proxy_credentials_file,
            .help = "File with \"user:password\" for connection.proxy, readable by the agent only."});
}

void AgentConfig::add_provisioning_keys(config::Schema& keys) {
  keys.add({.name = "provisioning.id_scope",
            .target = &id_scope,
            .help = "Id scope of the provisioning service that says which hub this device belongs to, in place of "
                    "hub.host and hub.device_id; empty: they are set here."});
  keys.add({.name = "provisioning.host",
            .target = &provisioning_host,
            .help = "Name or address of the provisioning service."});
  keys.add({.name = "provisioning.port",
            .target = &provisioning_port,
            .help = "Port of the provisioning service (MQTT over TLS).",
            .minimum = 1,
            .maximum = 65535});
  keys.add({.name = "provisioning.registration_id",
            .target = &registration_id,
            .help = "Id under which this device asks; with a certificate its common name. Needed with an id scope."});
  keys.add({.name = "provisioning.group_key_file",
            .target = &group_key_file,
            .help =
                "File with the key of an enrollment group in base64, in place of hub.key_file. The device's own key "
                "is derived from it and kept; the file may then be removed."});
}

void AgentConfig::add_device_keys(config::Schema& keys) {
  keys.add({.name = "device.manufacturer", .target = &manufacturer, .help = "Manufacturer of the device; needed."});
  keys.add({.name = "device.model", .target = &model, .help = "Model of the device; needed."});
  keys.add({.name = "device.properties",
            .target = &properties,
            .help = "More properties of the device, as \"name=value\"."});
  keys.add({.name = "device.compat_property_names",
            .target = &compat_property_names,
            .help = "Which properties make the device's class: 1 to 5 names."});
}

void AgentConfig::add_local_keys(config::Schema& keys) {
  keys.add({.name = "agent.data",
            .target = &data,
            .help = "Folder for journal, outbox, downloads and extensions.json; only the agent may write it."});
  keys.add({.name = "agent.socket",
            .target = &socket,
            .help = "Socket for godwit-agent status, cancel, retry, pause and resume; who may open it may do these."});
  keys.add({.name = "agent.socket_mode",
            .target = &socket_mode,
            .help = "Permissions of that socket, in octal.",
            .choices = {"0600", "0660", "0666"}});
  keys.add({.name = "agent.trust_anchors",
            .target = &trust_anchors,
            .help = "Root keys that this device believes; must not be writable by the agent."});

  keys.add({.name = "installer.socket", .target = &installer_socket, .help = "Socket of godwit-installer."});
  keys.add({.name = "installer.patience",
            .target = &installer_patience,
            .help = "How long to wait for an installer that is not there before the update fails.",
            .minimum = 0,
            .maximum = kDay});
  keys.add({.name = "installer.act_time_limit",
            .target = &act_time_limit,
            .help = "Longest time for one act of the installer, its own limits included.",
            .minimum = kSecond,
            .maximum = 7 * kDay});
}

void AgentConfig::add_consent_keys(config::Schema& keys) {
  keys.add({.name = "consent.command",
            .target = &consent_command,
            .help = "Program and arguments that are asked before the device is changed or restarted; it reads JSON and "
                    "answers now, later SECONDS or no. Empty: nobody is asked."});
  keys.add({.name = "consent.time_limit",
            .target = &consent_time_limit,
            .help = "Longest time for the consent command to answer.",
            .minimum = kSecond,
            .maximum = kHour});
}

void AgentConfig::add_download_keys(config::Schema& keys) {
  keys.add({.name = "download.ca_file",
            .target = &download_ca_file,
            .help = "PEM file with the authorities for download servers; empty: the same as hub.ca_file."});
  keys.add({.name = "download.proxy",
            .target = &download_proxy,
            .help = "Proxy for downloads, \"http://host:port\"; empty: as the environment says."});
  keys.add({.name = "download.allow_http",
            .target = &allow_http,
            .help = "Admit URLs without TLS; content is checked by hash either way."});
  keys.add({.name = "download.sources",
            .target = &download_sources,
            .help =
                "Where a file is looked for before the service's URL, in this order: URLs (file:, https:, http:) with "
                "{sha256}, {name}, {path} or {host} in place of what differs. The hash decides; at most 8."});
  keys.add({.name = "download.source_patience",
            .target = &download_source_patience,
            .help = "How long one of download.sources may give no byte before the next is asked; three tries at most.",
            .minimum = 0,
            .maximum = kDay});
  keys.add({.name = "download.give_up_after",
            .target = &download_give_up_after,
            .help = "A download fails when no byte came for so long, however often it was tried.",
            .minimum = 0,
            .maximum = 7 * kDay});
  keys.add({.name = "download.time_limit",
            .target = &download_time_limit,
            .help = "Longest time for one try of one file.",
            .minimum = kSecond,
            .maximum = 7 * kDay});
  keys.add(
      {.name = "download.max_rate", .target = &download_max_rate, .help = "Bytes per second at most; 0: no limit."});
  keys.add({.name = "download.reserve",
            .target = &download_reserve,
            .help = "Space that a download leaves free on the disk."});
}

void AgentConfig::add_logs_keys(config::Schema& keys) {
  keys.add({.name = "logs.paths",
            .target = &log_paths,
            .help = "Files and folders that are sent when the service asks for logs, as \"name=/path\", beside the "
                    "agent's own record."});
  keys.add({.name = "logs.units",
            .target = &log_units,
            .help = "Units of systemd whose journal is sent when the service asks for logs."});
  keys.add({.name = "logs.bytes",
            .target = &log_bytes,
            .help = "Of each path and each unit at most, the newest.",
            .minimum = 1024,
            .maximum = 1024 * 1024 * 1024});
  keys.add({.name = "logs.files",
            .target = &log_files,
            .help = "Files of a folder at most.",
            .minimum = 1,
            .maximum = 1000});
}

void AgentConfig::add_extension_and_log_keys(config::Schema& keys) {
  keys.add({.name = "extension.cancel_grace",
            .target = &extension_cancel_grace,
            .help = "Time for an extension to end after it was asked to, before it is killed.",
            .minimum = 0,
            .maximum = kHour});
  keys.add({.name = "extension.memory",
            .target = &extension_memory,
            .help = "Address space of an extension process at most; 0: no limit."});

  keys.add({.name = "log.level",
            .target = &log_level,
            .help = "Least level that is written.",
            .choices = {"debug", "info", "warning", "error"}});
  keys.add({.name = "log.keep",
            .target = &log_keep,
            .help =
                "Of the agent's own log so much is kept twice in its data folder, for when the service asks for it; "
                "0: none.",
            .minimum = 0,
            .maximum = 1024 * 1024 * 1024});
  keys.add({.name = "log.format", .target = &log_format, .help = "Form of a log line.", .choices = {"text", "json"}});
}

config::Schema AgentConfig::schema() {
  config::Schema keys;
  add_hub_keys(keys);
  add_connection_keys(keys);
  add_provisioning_keys(keys);
  add_device_keys(keys);
  add_local_keys(keys);
  add_consent_keys(keys);
  add_download_keys(keys);
  add_logs_keys(keys);
  add_extension_and_log_keys(keys);
  return keys;
}

unsigned AgentConfig::socket_permissions() const { return to_number<unsigned>(socket_mode, 8).value_or(0660); }

CompatibilitySet AgentConfig::device_properties() const {
  CompatibilitySet all{{"manufacturer", manufacturer}, {"model", model}};
  for (const auto& line : properties) {
    const auto equals = line.find('=');
    if (equals != std::string::npos) all[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return all;
}

Result<void> complete_agent_config(AgentConfig& config, const Path& folder) {
  GODWIT_TRY_VOID(check_place(config));
  GODWIT_TRY_VOID(check_credential(config));
  GODWIT_TRY_VOID(check_trust(config));
  if (config.proxy.empty() && !config.proxy_credentials_file.empty())
    return fail(Code::invalid_argument, "connection.proxy_credentials_file is set without connection.proxy");
  GODWIT_TRY_VOID(need(!config.manufacturer.empty(), "device.manufacturer", "updates are chosen by it"));
  GODWIT_TRY_VOID(need(!config.model.empty(), "device.model", "updates are chosen by it"));
  GODWIT_TRY_VOID(check_properties(config));
  GODWIT_TRY_VOID(check_sources(config));
  GODWIT_TRY_VOID(check_logs(config));
  if (!config.consent_command.empty() && !Path(config.consent_command.front()).is_absolute())
    return fail(Code::invalid_argument, "consent.command must begin with the absolute path of a program");
  if (config.is_provisioned()) config.device_id = config.registration_id;  // until the service says another one
  if (config.hub_name.empty()) config.hub_name = config.hub_host;
  if (config.hub_tls_name.empty()) config.hub_tls_name = config.hub_host;
  if (config.download_ca_file.empty()) config.download_ca_file = config.ca_file;
  for (Path* path : {&config.key_file, &config.certificate_file, &config.certificate_key_file, &config.ca_file,
                     &config.data, &config.proxy_credentials_file, &config.group_key_file, &config.trust_anchors,
                     &config.installer_socket, &config.download_ca_file, &config.socket}) {
    if (path->empty()) continue;
    if (path->is_relative()) *path = folder / *path;
    *path = path->lexically_normal();
  }
  return {};
}

Result<AgentConfig> load_agent_config(const Path& file) {
  AgentConfig config;
  config::Schema keys = config.schema();
  GODWIT_TRY_VOID(keys.load_file(file));
  std::error_code problem;
  const Path absolute = std::filesystem::absolute(file, problem);
  if (auto complete = complete_agent_config(config, absolute.parent_path()); !complete)
    return with_context(file.string(), std::move(complete).error());
  return config;
}

}  // namespace godwit::agent
