// dps show, dps enrollment-group|enrollment create|list|show|update|delete, dps enrollment-group compute-device-key,
// dps registration list|show|delete
#include <fmt/format.h>

#include "core/trust/sas.hpp"
#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

constexpr ByteCount kFileLimit = 3 * 1024 * 1024;

struct DpsFlags {
  std::string id{}, registration{}, device{}, attestation{}, primary{}, secondary{}, certificate{},
      secondary_certificate{}, authority{}, secondary_authority{}, status{}, policy{}, tags{}, desired{}, key{};
  bool show_keys = false;
};

/// Individual enrollments and groups differ in words only.
struct Kind {
  const char* path;
  const char* noun;
  const char* id_member;
  bool is_group;
};
constexpr Kind kIndividual{"/enrollments", "enrollment", "registrationId", false};
constexpr Kind kGroup{"/enrollmentGroups", "enrollment group", "enrollmentGroupId", true};

std::string path_of(const Kind& kind, const DpsFlags& flags) {
  return std::string(kind.path) + "/" + percent_encode(flags.id);
}

// ---- what a create or an update says -------------------------------------------------------------------------------

Result<json::Object> certificate_pair(const std::string& first, const std::string& second) {
  json::Object pair;
  GODWIT_TRY(const std::string primary, read_file(first, kFileLimit));
  pair["primary"] = json::Object{{"certificate", primary}};
  if (!second.empty()) {
    GODWIT_TRY(const std::string secondary, read_file(second, kFileLimit));
    pair["secondary"] = json::Object{{"certificate", secondary}};
  }
  return pair;
}

Result<json::Object> attestation(const Kind& kind, const DpsFlags& flags) {
  const bool has_files = !flags.certificate.empty();
  const bool has_names = !flags.authority.empty();
  if (has_files && has_names)
    return fail(Code::invalid_argument, "give either --certificate-path or --root-ca-name, not both");
  if (!has_files && !has_names) {
    if (flags.attestation == "x509")
      return fail(Code::invalid_argument, "an x509 enrollment needs --certificate-path or --root-ca-name");
    return json::Object{
        {"type", "symmetricKey"},
        {"symmetricKey", json::Object{{"primaryKey", flags.primary}, {"secondaryKey", flags.secondary}}}};
  }
  if (has_names) {
    json::Object names{{"primary", flags.authority}};
    if (!flags.secondary_authority.empty()) names["secondary"] = flags.secondary_authority;
    return json::Object{{"type", "x509"}, {"x509", json::Object{{"caReferences", std::move(names)}}}};
  }
  GODWIT_TRY(auto pair, certificate_pair(flags.certificate, flags.secondary_certificate));
  const char* member = kind.is_group ? "signingCertificates" : "clientCertificates";
  return json::Object{{"type", "x509"}, {"x509", json::Object{{member, std::move(pair)}}}};
}

Result<void> apply_common(const DpsFlags& flags, json::Object& body) {
  if (!flags.status.empty()) body["provisioningStatus"] = flags.status;
  if (!flags.policy.empty())
    body["reprovisionPolicy"] = json::Object{{"updateHubAssignment", flags.policy != "never"},
                                             {"migrateDeviceData", flags.policy == "reprovisionandmigratedata"}};
  if (flags.tags.empty() && flags.desired.empty()) return {};
  json::Object twin;
  if (const auto* before = json::object_or_null(body, "initialTwin")) twin = *before;
  if (!flags.tags.empty()) {
    auto tags = json::parse_object(flags.tags);
    if (!tags) return with_context("--initial-twin-tags", Error{Code::invalid_argument, tags.error().message});
    twin["tags"] = *std::move(tags);
  }
  if (!flags.desired.empty()) {
    auto desired = json::parse_object(flags.desired);
    if (!desired)
      return with_context("--initial-twin-properties", Error{Code::invalid_argument, desired.error().message});
    twin["properties"] = json::Object{{"desired", *std::move(desired)}};
  }
  body["initialTwin"] = std::move(twin);
  return {};
}

// ---- enrollments ---------------------------------------------------------------------------------------------------

Result<int> create(Context& context, const Kind& kind, const DpsFlags& flags) {
  json::Object body{{kind.id_member, flags.id}};
  GODWIT_TRY(body["attestation"], attestation(kind, flags));
  if (!flags.device.empty()) body["deviceId"] = flags.device;
  GODWIT_TRY_VOID(apply_common(flags, body));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto response, client->send("PUT", path_of(kind, flags), {}, json::print(body)));
  GODWIT_TRY(const auto made, json::parse(response.body));
  if (context.wants_json())
    context.show_json(made);
  else
    fmt::print("created {} {}\n", kind.noun, flags.id);
  return exit_code::ok;
}

Result<int> update(Context& context, const Kind& kind, const DpsFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto before, client->get(path_of(kind, flags)));
  if (!before.is_object()) return fail(Code::bad_json, "the answer is not an enrollment");
  json::Object body = before.as_object();
  GODWIT_TRY_VOID(apply_common(flags, body));
  const std::string match = "If-Match: \"" + text_at(before, "etag") + "\"";
  GODWIT_TRY(const auto response, client->send("PUT", path_of(kind, flags), {}, json::print(body), {match}));
  GODWIT_TRY(const auto changed, json::parse(response.body));
  if (context.wants_json())
    context.show_json(changed);
  else
    fmt::print("changed {} {}\n", kind.noun, flags.id);
  return exit_code::ok;
}

/// Everything, page by page.
Result<json::Array> query_all(Client& client, const std::string& path) {
  constexpr std::size_t kMost = 1'000'000;
  json::Array all;
  std::string continuation;
  do {
    std::vector<std::string> headers{"x-ms-max-item-count: 1000"};
    if (!continuation.empty()) headers.push_back("x-ms-continuation: " + continuation);
    GODWIT_TRY(const auto response, client.send("POST", path + "/query", {}, R"({"query":"*"})", headers));
    GODWIT_TRY(const auto page, json::parse(response.body, {.bytes = 256 * 1024 * 1024, .depth = 32}));
    if (!page.is_array()) return fail(Code::bad_json, "POST " + path + "/query: the answer is not a list");
    for (const auto& one : page.as_array()) all.push_back(one);
    continuation = response.header("x-ms-continuation");
  } while (!continuation.empty() && all.size() < kMost);
  return all;
}

Result<int> list(Context& context, const Kind& kind, const DpsFlags&) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto all, query_all(*client, kind.path));
  Table table({"ID", "ATTESTATION", "STATUS", "REPROVISION", "DEVICE"});
  for (const auto& one : all) {
    const bool never = text_at(one, "reprovisionPolicy.updateHubAssignment") == "false";
    const bool migrates = text_at(one, "reprovisionPolicy.migrateDeviceData") == "true";
    table.add({text_at(one, kind.id_member), text_at(one, "attestation.type"), text_at(one, "provisioningStatus"),
               never      ? "never"
               : migrates ? "migrate"
                          : "reset",
               text_at(one, "deviceId")});
  }
  context.show(all, table);
  return exit_code::ok;
}

Result<int> show(Context& context, const Kind& kind, const DpsFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(auto body, client->get(path_of(kind, flags)));
  if (flags.show_keys && body.is_object()) {
    GODWIT_TRY(const auto response, client->send("POST", path_of(kind, flags) + "/attestationmechanism"));
    GODWIT_TRY(const auto keys, json::parse(response.body));
    body.as_object()["attestation"] = keys;
  }
  context.show_json(body);
  return exit_code::ok;
}

Result<int> remove(Context& context, const Kind& kind, const DpsFlags& flags) {
  GODWIT_TRY_VOID(context.confirm("Delete " + std::string(kind.noun) + " '" + flags.id +
                                  "' and its registrations? Devices that were provisioned keep their identities."));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY([[maybe_unused]] const auto gone, client->send("DELETE", path_of(kind, flags)));
  if (!context.wants_json()) fmt::print("deleted {} {}\n", kind.noun, flags.id);
  return exit_code::ok;
}

Result<int> compute_device_key(Context& context, const DpsFlags& flags) {
  std::string group_key = flags.key;
  if (group_key.empty()) {
    GODWIT_TRY(auto* client, context.client());
    GODWIT_TRY(const auto response, client->send("POST", path_of(kGroup, flags) + "/attestationmechanism"));
    GODWIT_TRY(const auto body, json::parse(response.body));
    group_key = text_at(body, "symmetricKey.primaryKey");
    if (group_key.empty())
      return fail(Code::invalid_argument, "enrollment group '" + flags.id + "' attests by certificate; it has no key");
  }
  const auto raw = base64_decode(group_key);
  if (!raw || raw->empty()) return fail(Code::invalid_argument, "--key is not base64");
  const std::string key = base64_encode(trust::derive_device_key(*raw, flags.registration));
  if (context.wants_json())
    context.show_json(json::Object{{"deviceKey", key}});
  else
    fmt::print("{}\n", key);
  return exit_code::ok;
}

// ---- registrations and the service itself --------------------------------------------------------------------------

Result<int> list_registrations(Context& context, const DpsFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto all, query_all(*client, "/registrations/" + percent_encode(flags.id)));
  Table table({"REGISTRATION", "STATUS", "DEVICE", "LAST", "REASON"});
  for (const auto& one : all)
    table.add({text_at(one, "registrationId"), text_at(one, "status"), text_at(one, "deviceId"),
               text_at(one, "lastUpdatedDateTimeUtc").substr(0, 19), text_at(one, "errorMessage")});
  context.show(all, table);
  return exit_code::ok;
}

Result<int> show_registration(Context& context, const DpsFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto body, client->get("/registrations/" + percent_encode(flags.registration)));
  context.show_json(body);
  return exit_code::ok;
}

Result<int> remove_registration(Context& context, const DpsFlags& flags) {
  GODWIT_TRY_VOID(context.confirm("Delete registration '" + flags.registration + "'? The device keeps its identity."));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY([[maybe_unused]] const auto gone,
             client->send("DELETE", "/registrations/" + percent_encode(flags.registration)));
  if (!context.wants_json()) fmt::print("deleted registration {}\n", flags.registration);
  return exit_code::ok;
}

Result<int> show_service(Context& context, const DpsFlags&) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto status, client->get(client->godwit("/hub/provisioning")));
  Table table({"FIELD", "VALUE"});
  for (const char* field : {"idScope", "assignedHub"}) table.add({field, text_at(status, field)});
  context.show(status, table);
  return exit_code::ok;
}

// ---- the tree of verbs ---------------------------------------------------------------------------------------------

using RunIt = std::function<Result<int>(Context&, const DpsFlags&)>;
struct Command {
  CLI::App* app;
  std::shared_ptr<DpsFlags> flags;
};
Command add(CLI::App* parent, Context& context, const std::string& name, const std::string& help, RunIt run_it) {
  auto* sub = parent->add_subcommand(name, help);
  auto flags = std::make_shared<DpsFlags>();
  sub->callback([&context, flags, run_it = std::move(run_it)] {
    context.action = [flags, run_it](Context& c) { return run_it(c, *flags); };
  });
  return {sub, flags};
}

void add_common(const Command& command) {
  command.app->add_option("--provisioning-status", command.flags->status, "enabled or disabled")
      ->check(CLI::IsMember({"enabled", "disabled"}));
  command.app
      ->add_option("--reprovision-policy", command.flags->policy,
                   "What a device that comes again meets: its twin kept, its twin reset, or nothing changed")
      ->check(CLI::IsMember({"reprovisionandmigratedata", "reprovisionandresetdata", "never"}));
  command.app->add_option("--initial-twin-tags", command.flags->tags, "JSON object, e.g. '{\"ADUGroup\":\"line-1\"}'");
  command.app->add_option("--initial-twin-properties", command.flags->desired, "Desired properties, JSON object");
}

void add_enrollments(CLI::App* parent, Context& context, const Kind& kind) {
  parent->require_subcommand(1);
  const bool is_group = kind.is_group;
  const auto with = [&kind](Result<int> (*run_it)(Context&, const Kind&, const DpsFlags&)) -> RunIt {
    return [run_it, &kind](Context& c, const DpsFlags& f) { return run_it(c, kind, f); };
  };
  const auto wants_id = [&](const Command& command) {
    command.app
        ->add_option("--enrollment-id,--eid", command.flags->id,
                     is_group ? "Id of the group" : "Registration id of the device")
        ->required();
  };
  const Command made = add(parent, context, "create", "Create one; keys are made unless given", with(create));
  wants_id(made);
  if (!is_group) {
    made.app->add_option("--attestation-type,--at", made.flags->attestation, "symmetricKey or x509")
        ->check(CLI::IsMember({"symmetricKey", "x509"}));
    made.app->add_option("--device-id", made.flags->device, "Device it becomes; the registration id unless given");
  }
  made.app->add_option("--primary-key", made.flags->primary, "Base64 of 16 to 64 bytes");
  made.app->add_option("--secondary-key", made.flags->secondary, "Base64 of 16 to 64 bytes");
  made.app->add_option(
      "--certificate-path", made.flags->certificate,
      is_group ? "PEM of the authority that signs the devices' certificates" : "PEM of the device's own certificate");
  made.app->add_option("--secondary-certificate-path", made.flags->secondary_certificate, "The same, second one");
  made.app->add_option("--root-ca-name", made.flags->authority, "Authority of the hub (hub certificate list)");
  made.app->add_option("--secondary-root-ca-name", made.flags->secondary_authority, "The same, second one");
  add_common(made);
  add(parent, context, "list", "List them", with(list));
  const Command shown = add(parent, context, "show", "Show one", with(show));
  wants_id(shown);
  shown.app->add_flag("--show-keys", shown.flags->show_keys, "With its keys (secrets)");
  const Command changed = add(parent, context, "update", "Change status, policy or initial twin", with(update));
  wants_id(changed);
  add_common(changed);
  wants_id(add(parent, context, "delete", "Delete one with its registrations", with(remove)));
}

}  // namespace

void add_dps_commands(CLI::App& root, Context& context) {
  auto* dps = root.add_subcommand("dps", "Device provisioning: how devices get their identities");
  dps->require_subcommand(1);
  add(dps, context, "show", "Id scope and hub that devices are told", show_service);
  auto* group = dps->add_subcommand("enrollment-group", "One credential for many devices");
  add_enrollments(group, context, kGroup);
  const Command computed = add(group, context, "compute-device-key",
                               "Print the key of one device of a group (a secret)", compute_device_key);
  auto* id = computed.app->add_option("--enrollment-id,--eid", computed.flags->id, "Id of the group");
  auto* key = computed.app->add_option("--key", computed.flags->key, "Key of the group, instead of asking the service");
  id->excludes(key);
  computed.app->add_option("--registration-id,--rid", computed.flags->registration, "Registration id of the device")
      ->required();
  add_enrollments(dps->add_subcommand("enrollment", "Enrollments of single devices"), context, kIndividual);

  auto* registration = dps->add_subcommand("registration", "What became of devices that registered");
  registration->require_subcommand(1);
  const Command listed = add(registration, context, "list", "List those of an enrollment group", list_registrations);
  listed.app->add_option("--enrollment-id,--eid", listed.flags->id, "Id of the group")->required();
  const auto wants_registration = [](const Command& command) {
    command.app->add_option("--registration-id,--rid", command.flags->registration, "Registration id")->required();
  };
  wants_registration(add(registration, context, "show", "Show one", show_registration));
  wants_registration(add(registration, context, "delete", "Forget one; the identity stays", remove_registration));
}

}  // namespace godwit::cli
