#include "device/agent/du_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "core/base/bytes.hpp"
#include "core/base/json.hpp"
#include "core/base/text.hpp"
#include "core/model/ids.hpp"

namespace godwit::agent {
namespace {

constexpr std::size_t kMostProperties = 32;
constexpr std::size_t kTextLimit = 1024;

/// Members that mean something else here, or nothing; each with what stands for it.
constexpr auto kWithoutMeaning = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"aduShellTrustedUsers", "who may speak to the installer is installer.agent_user in installer.toml"},
    {"aduShellFolder", "there is no adu-shell; godwit-installer does what needs rights"},
    {"dataFolder", "set agent.data if /var/lib/godwit/agent is not right"},
    {"downloadsFolder", "downloads lie below agent.data"},
    {"extensionsFolder", "register extensions with godwit-agent and godwit-installer extension register"},
});
constexpr auto kKnown =
    std::to_array<std::string_view>({"schemaVersion", "iotHubProtocol", "compatPropertyNames", "manufacturer", "model",
                                     "edgegatewayCertPath", "downloadTimeoutInMinutes", "agents"});

/// A value of agent.toml; what could break out of its line is refused.
Result<std::string> quoted(std::string_view text, std::string_view member) {
  const bool has_control = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7F;
  });
  if (text.size() > kTextLimit || has_control)
    return fail(Code::invalid_argument,
                fmt::format("{} is longer than {} bytes or holds control characters", member, kTextLimit));
  return json::print(json::Value(text));
}

Result<std::map<std::string, std::string>> parts_of(std::string_view connection_string) {
  std::map<std::string, std::string> parts;
  while (!connection_string.empty()) {
    const auto end = std::min(connection_string.find(';'), connection_string.size());
    const std::string_view part = trimmed(connection_string.substr(0, end));
    connection_string.remove_prefix(std::min(end + 1, connection_string.size()));
    if (part.empty()) continue;
    const auto equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return fail(Code::invalid_argument, "the connection string has a part without '='");
    if (!parts.emplace(lower_case(part.substr(0, equals)), part.substr(equals + 1)).second)
      return fail(Code::invalid_argument, fmt::format("the connection string names {} twice",
                                                      part.substr(0, std::min<std::size_t>(equals, 64))));
  }
  return parts;
}

std::string part(const std::map<std::string, std::string>& parts, const std::string& name) {
  const auto found = parts.find(name);
  return found == parts.end() ? "" : found->second;
}

struct Identity {
  std::string hub;
  std::string gateway;  // "": none
  std::string device;
  std::string key;  // base64
};

Result<Identity> read_connection(const json::Object& agent) {
  GODWIT_TRY(const auto* source, json::object(agent, "connectionSource", "agents[0]"));
  GODWIT_TRY(const auto type, json::text(*source, "connectionType", "agents[0].connectionSource"));
  if (type == "AIS")
    return fail(
        Code::unsupported,
        "connectionType AIS takes identities from the IoT Identity Service, which this agent does not ask: give the "
        "device a key or a certificate of its own (godwit hub device-identity create) and write agent.toml by hand");
  if (type != "string")
    return fail(Code::unsupported, fmt::format("connectionType '{}' is neither string nor AIS", type.substr(0, 32)));
  GODWIT_TRY(const auto data, json::text(*source, "connectionData", "agents[0].connectionSource"));
  GODWIT_TRY(const auto parts, parts_of(data));
  Identity identity{part(parts, "hostname"), part(parts, "gatewayhostname"), part(parts, "deviceid"),
                    part(parts, "sharedaccesskey")};
  if (identity.hub.empty() || identity.device.empty())
    return fail(Code::invalid_argument, "the connection string names no HostName or no DeviceId");
  if (parts.contains("moduleid"))
    return fail(Code::unsupported,
                "the connection string is that of a module; this agent is a device: take the device's own "
                "connection string");
  if (const std::string reason = check_device_id(identity.device); !reason.empty())
    return fail(Code::invalid_argument, "DeviceId " + reason);
  if (parts.contains("x509"))
    return fail(Code::unsupported,
                "the connection string says X.509 but names no files: write agent.toml by hand with "
                "hub.certificate_file and hub.certificate_key_file");
  if (const auto key = base64_decode(identity.key); identity.key.empty() || !key || key->size() < 16)
    return fail(Code::invalid_argument, "the connection string has no SharedAccessKey in base64");
  return identity;
}

Result<std::string> property_lines(const json::Object& agent) {
  const auto* more = json::object_or_null(agent, "additionalDeviceProperties");
  if (more == nullptr || more->empty()) return std::string();
  if (more->size() > kMostProperties)
    return fail(Code::too_large, fmt::format("additionalDeviceProperties has more than {} members", kMostProperties));
  std::string list;
  for (const auto& [name, value] : *more) {
    if (!value.is_string() || name.find('=') != std::string_view::npos || name.empty())
      return fail(Code::invalid_argument,
                  fmt::format("additionalDeviceProperties: '{}' must be a name without '=' and have a text",
                              std::string_view(name).substr(0, 64)));
    GODWIT_TRY(const auto one,
               quoted(std::string(name) + "=" + std::string(value.get_string()), "additionalDeviceProperties"));
    list += (list.empty() ? "" : ", ") + one;
  }
  return "properties = [" + list + "]\n";
}

Result<std::string> compat_line(const json::Object& whole) {
  const auto names = json::text_or_nothing(whole, "compatPropertyNames");
  if (!names) return std::string();
  std::string list;
  std::string_view rest = *names;
  while (!rest.empty()) {
    const auto end = std::min(rest.find(','), rest.size());
    GODWIT_TRY(const auto one, quoted(trimmed(rest.substr(0, end)), "compatPropertyNames"));
    list += (list.empty() ? "" : ", ") + one;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return "compat_property_names = [" + list + "]\n";
}

void note_the_rest(const json::Object& whole, std::vector<std::string>& notes) {
  for (const auto& member : whole) {
    const std::string_view name = member.key();
    const auto known = std::find_if(kWithoutMeaning.begin(), kWithoutMeaning.end(),
                                    [name](const auto& row) { return row.first == name; });
    if (known != kWithoutMeaning.end())
      notes.push_back(fmt::format("{} is left out: {}", name, known->second));
    else if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end())
      notes.push_back(fmt::format("{} is not known and left out", std::string(name.substr(0, 64))));
  }
  if (const auto protocol = json::text_or_nothing(whole, "iotHubProtocol"); protocol && *protocol != "mqtt")
    notes.push_back(fmt::format("iotHubProtocol '{}' is left out: this agent speaks MQTT over TLS at hub.port",
                                protocol->substr(0, 32)));
}

}  // namespace

Result<ImportedConfig> import_du_config(std::string_view text, const DuImport& options) {
  GODWIT_TRY(const auto whole, json::parse_object(text, {.bytes = kDuConfigLimit, .depth = 8}));
  GODWIT_TRY(const auto* agents, json::array(whole, "agents", "du-config.json"));
  if (agents->empty() || !agents->front().is_object())
    return fail(Code::invalid_argument, "agents has no first entry: it says which device this is");
  const json::Object& agent = agents->front().get_object();
  GODWIT_TRY(const Identity identity, read_connection(agent));

  ImportedConfig imported;
  imported.key = Secret(identity.key + "\n");
  if (agents->size() > 1) imported.notes.push_back("only the first of the agents counts; the others are left out");
  note_the_rest(whole, imported.notes);

  const bool has_gateway = !identity.gateway.empty();
  const auto gateway_ca = json::text_or_nothing(whole, "edgegatewayCertPath");
  const std::string ca = has_gateway && gateway_ca ? *gateway_ca : options.ca_file.string();
  GODWIT_TRY(const auto host, quoted(has_gateway ? identity.gateway : identity.hub, "HostName"));
  GODWIT_TRY(const auto hub, quoted(identity.hub, "HostName"));
  GODWIT_TRY(const auto device, quoted(identity.device, "DeviceId"));
  GODWIT_TRY(const auto key_file, quoted(options.key_file.string(), "the key file"));
  GODWIT_TRY(const auto ca_file, quoted(ca, "edgegatewayCertPath"));
  imported.toml = fmt::format("[hub]\nhost = {}\nname = {}\ndevice_id = {}\nkey_file = {}\nca_file = {}\n\n[device]\n",
                              host, hub, device, key_file, ca_file);
  for (const char* name : {"manufacturer", "model"}) {
    GODWIT_TRY(const auto value, json::text(agent, name, "agents[0]"));
    GODWIT_TRY(const auto line, quoted(value, name));
    imported.toml += fmt::format("{} = {}\n", name, line);
  }
  GODWIT_TRY(const auto properties, property_lines(agent));
  GODWIT_TRY(const auto compat, compat_line(whole));
  imported.toml += properties + compat;
  if (const auto minutes = json::integer_or_nothing(whole, "downloadTimeoutInMinutes")) {
    if (*minutes < 1 || *minutes > 7 * 24 * 60)
      return fail(Code::invalid_argument, "downloadTimeoutInMinutes is none of 1 to 10080");
    imported.toml += fmt::format("\n[download]\ntime_limit = \"{}m\"\n", *minutes);
  }
  imported.notes.push_back(
      "copy the service's trust-anchors.json to agent.trust_anchors, and write the same device section "
      "into installer.toml");
  return imported;
}

}  // namespace godwit::agent
