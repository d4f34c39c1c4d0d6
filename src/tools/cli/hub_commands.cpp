// hub device-identity create|list|show|delete|connection-string, hub device-twin show|update
#include <fmt/format.h>

#include "tools/cli/app.hpp"
#include "tools/cli/query.hpp"

namespace godwit::cli {
namespace {

struct HubFlags {
  std::string device{}, primary{}, secondary{}, tags{}, desired{}, key_file{};
  bool disabled = false;
};

std::string device_path(const HubFlags& flags) { return "/devices/" + percent_encode(flags.device); }
std::string twin_path(const HubFlags& flags) { return "/twins/" + percent_encode(flags.device); }

Result<int> create(Context& context, const HubFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  const json::Object body{
      {"deviceId", flags.device},
      {"status", flags.disabled ? "disabled" : "enabled"},
      {"authentication",
       json::Object{{"type", "sas"},
                    {"symmetricKey", json::Object{{"primaryKey", flags.primary}, {"secondaryKey", flags.secondary}}}}}};
  GODWIT_TRY(const auto response, client->send("PUT", device_path(flags), {}, json::print(body)));
  GODWIT_TRY(const auto device, json::parse_object(response.body));
  if (!flags.key_file.empty())
    GODWIT_TRY_VOID(
        write_file_durably(flags.key_file, text_at(device, "authentication.symmetricKey.primaryKey") + "\n", 0600));
  if (context.wants_json())
    context.show_json(device);
  else
    fmt::print("registered device {}{}\n", flags.device,
               flags.key_file.empty()
                   ? "; godwit hub device-identity connection-string -d " + flags.device + " prints its key"
                   : ", its key is in " + flags.key_file);
  return exit_code::ok;
}

Result<int> list(Context& context, const HubFlags&) {
  GODWIT_TRY(auto* client, context.client());
  // Twins carry all that the list shows, and unlike the list of identities they come in pages.
  GODWIT_TRY(const auto rows, query_rows(*client, "SELECT * FROM devices"));
  Table table({"DEVICE", "STATUS", "CONNECTION", "LAST ACTIVITY"});
  for (const auto& one : rows)
    table.add({text_at(one, "deviceId"), text_at(one, "status"), text_at(one, "connectionState"),
               text_at(one, "lastActivityTime").substr(0, 19)});
  context.show(json::Value(rows), table);
  return exit_code::ok;
}

Result<int> show_json_at(Context& context, const std::string& path) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto value, client->get(path));
  context.show_json(value);
  return exit_code::ok;
}

Result<int> remove(Context& context, const HubFlags& flags) {
  GODWIT_TRY_VOID(context.confirm("Delete device '" + flags.device + "', its twin and its history?"));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto gone, client->send("DELETE", device_path(flags), {}, {}, {"If-Match: *"}));
  (void)gone;
  if (!context.wants_json()) fmt::print("deleted device {}\n", flags.device);
  return exit_code::ok;
}

Result<int> connection_string(Context& context, const HubFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto device, client->get(device_path(flags)));
  std::string host = client->connection().url.substr(std::string_view("https://").size());
  host = host.substr(0, host.find_first_of(":/"));
  const std::string text = "HostName=" + host + ";DeviceId=" + flags.device +
                           ";SharedAccessKey=" + text_at(device, "authentication.symmetricKey.primaryKey");
  if (context.wants_json())
    context.show_json(json::Object{{"connectionString", text}});
  else
    fmt::print("{}\n", text);
  return exit_code::ok;
}

Result<int> update_twin(Context& context, const HubFlags& flags) {
  json::Object body;
  if (!flags.tags.empty()) {
    auto tags = json::parse_object(flags.tags);
    if (!tags) return with_context("--tags", Error{Code::invalid_argument, tags.error().message});
    body["tags"] = *tags;
  }
  if (!flags.desired.empty()) {
    auto desired = json::parse_object(flags.desired);
    if (!desired) return with_context("--desired", Error{Code::invalid_argument, desired.error().message});
    body["properties"] = json::Object{{"desired", *desired}};
  }
  if (body.empty())
    return fail(Code::invalid_argument, "give --tags JSON, --desired JSON or both; null removes a member");
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto response, client->send("PATCH", twin_path(flags), {}, json::print(body)));
  GODWIT_TRY(const auto twin, json::parse(response.body));
  context.show_json(twin);
  return exit_code::ok;
}

}  // namespace

void add_hub_commands(CLI::App& root, Context& context) {
  auto* hub = root.add_subcommand("hub", "The hub's registry: device identities, twins, certificate authorities");
  hub->require_subcommand(1);
  add_certificate_commands(*hub, context);
  auto* identity = hub->add_subcommand("device-identity", "Device identities");
  auto* twin = hub->add_subcommand("device-twin", "Device twins");
  identity->require_subcommand(1);
  twin->require_subcommand(1);
  const auto command = [&context](CLI::App* parent, const std::string& name, const std::string& help, bool wants_id,
                                  Result<int> (*run_it)(Context&, const HubFlags&)) {
    auto* sub = parent->add_subcommand(name, help);
    auto flags = std::make_shared<HubFlags>();
    if (wants_id) sub->add_option("--device-id,-d", flags->device, "Device id")->required();
    sub->callback(
        [&context, flags, run_it] { context.action = [flags, run_it](Context& c) { return run_it(c, *flags); }; });
    return std::pair{sub, flags};
  };
  const auto made = command(identity, "create", "Register a device; keys are made unless given", true, create);
  made.first->add_option("--primary-key", made.second->primary, "Base64 of 16 to 64 bytes");
  made.first->add_option("--secondary-key", made.second->secondary, "Base64 of 16 to 64 bytes");
  made.first->add_option("--key-file", made.second->key_file,
                         "Write the primary key to this file (mode 0600) for the agent");
  made.first->add_flag("--disabled", made.second->disabled, "Register, but refuse its connections for now");
  command(identity, "list", "List identities", false, list);
  command(identity, "show", "Show an identity", true,
          [](Context& c, const HubFlags& f) { return show_json_at(c, device_path(f)); });
  command(identity, "delete", "Delete an identity", true, remove);
  command(identity, "connection-string", "Print the connection string of a device (a secret)", true, connection_string)
      .first->add_subcommand("show", "The same, as other command lines spell it");  // its -d is the parent's
  command(twin, "show", "Show a twin", true,
          [](Context& c, const HubFlags& f) { return show_json_at(c, twin_path(f)); });
  const auto updated = command(twin, "update", "Merge a patch into tags or desired properties", true, update_twin);
  updated.first->add_option("--tags", updated.second->tags, "JSON object, e.g. '{\"ADUGroup\":\"line-1\"}'");
  updated.first->add_option("--desired", updated.second->desired, "JSON object");
  add_query_command(*hub, context);
  add_policy_commands(*hub, context);
  add_telemetry_commands(*hub, context);
  add_job_commands(*hub, context);
}

}  // namespace godwit::cli
