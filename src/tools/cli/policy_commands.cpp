// hub policy list|show|create|renew|delete, hub connection-string show
#include <fmt/format.h>

#include "core/base/text.hpp"
#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

struct PolicyFlags {
  std::string name{};
  std::string key = "primary";
  std::string primary{}, secondary{};
  std::vector<std::string> rights{};
  bool wants_keys = false;
};

std::string policy_path(const Client& client, const PolicyFlags& flags, std::string_view rest = {}) {
  return client.godwit("/hub/policies/" + percent_encode(flags.name) + std::string(rest));
}

std::string joined_rights(const json::Value& policy) {
  std::string text;
  const auto* rights = policy.is_object() ? json::find(policy.get_object(), "rights") : nullptr;
  if (rights != nullptr && rights->is_array())
    for (const auto& right : rights->get_array())
      if (right.is_string()) text += (text.empty() ? "" : ", ") + std::string(right.get_string());
  return text;
}

Result<int> list_policies(Context& context, const PolicyFlags&) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(auto policies, client->get_all(client->godwit("/hub/policies")));
  Table table({"POLICY", "RIGHTS", "BUILT IN", "CHANGED"});
  for (const auto& policy : policies)
    table.add({text_at(policy, "name"), joined_rights(policy), text_at(policy, "isBuiltIn") == "true" ? "yes" : "",
               text_at(policy, "lastChangeDateTime").substr(0, 19)});
  context.show(json::Value(std::move(policies)), table);
  return exit_code::ok;
}

Result<int> show_policy(Context& context, const PolicyFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto policy, client->get(policy_path(*client, flags, flags.wants_keys ? "/keys" : "")));
  context.show_json(policy);
  return exit_code::ok;
}

Result<int> create_policy(Context& context, const PolicyFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  json::Array rights;
  for (const auto& right : flags.rights) rights.emplace_back(right);
  const json::Object body{{"name", flags.name},
                          {"rights", std::move(rights)},
                          {"primaryKey", flags.primary},
                          {"secondaryKey", flags.secondary}};
  GODWIT_TRY(const auto response, client->send("POST", client->godwit("/hub/policies"), {}, json::print(body)));
  GODWIT_TRY(const auto policy, json::parse_object(response.body));
  if (context.wants_json())
    context.show_json(policy);
  else
    fmt::print("made policy {} with {}; godwit hub connection-string show --policy {} prints its key\n", flags.name,
               joined_rights(policy), flags.name);
  return exit_code::ok;
}

Result<int> renew_key(Context& context, const PolicyFlags& flags) {
  GODWIT_TRY_VOID(context.confirm("Renew the " + flags.key + " key of policy '" + flags.name +
                                  "'? Who signs with the present one is locked out at once."));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto response, client->send("POST", policy_path(*client, flags, ":renew"), {},
                                               json::print(json::Object{{"key", flags.key}})));
  GODWIT_TRY(const auto policy, json::parse_object(response.body));
  if (context.wants_json())
    context.show_json(policy);
  else
    fmt::print("renewed the {} key of policy {}\n", flags.key, flags.name);
  return exit_code::ok;
}

Result<int> delete_policy(Context& context, const PolicyFlags& flags) {
  GODWIT_TRY_VOID(
      context.confirm("Delete policy '" + flags.name + "'? Who signs with its keys is locked out at once."));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY([[maybe_unused]] const auto gone, client->send("DELETE", policy_path(*client, flags)));
  if (!context.wants_json()) fmt::print("deleted policy {}\n", flags.name);
  return exit_code::ok;
}

/// A token's scope begins with HostName, so it must be a name by which the hub goes: the one we reached it by if it is
/// one, else the last of the hub's own, which is its host's.
std::string choose_host(const Client& client, const json::Value& policy) {
  std::string reached = client.connection().url.substr(std::string_view("https://").size());
  reached = reached.substr(0, reached.find_first_of(":/"));
  std::string last = reached;
  const auto* names = policy.is_object() ? json::find(policy.get_object(), "hostNames") : nullptr;
  if (names == nullptr || !names->is_array()) return last;
  for (const auto& name : names->get_array()) {
    if (!name.is_string()) continue;
    last = std::string(name.get_string());
    if (equal_in_any_case(last, reached)) return last;
  }
  return last;
}

Result<int> connection_string(Context& context, const PolicyFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto policy, client->get(policy_path(*client, flags, "/keys")));
  const std::string text = "HostName=" + choose_host(*client, policy) + ";SharedAccessKeyName=" + flags.name +
                           ";SharedAccessKey=" + text_at(policy, flags.key + "Key");
  if (context.wants_json())
    context.show_json(json::Object{{"connectionString", text}});
  else
    fmt::print("{}\n", text);
  return exit_code::ok;
}

using Command = Result<int> (*)(Context&, const PolicyFlags&);

std::pair<CLI::App*, std::shared_ptr<PolicyFlags>> add_verb(CLI::App* parent, Context& context, const std::string& name,
                                                            const std::string& help, Command run_it) {
  auto* sub = parent->add_subcommand(name, help);
  auto flags = std::make_shared<PolicyFlags>();
  sub->callback(
      [&context, flags, run_it] { context.action = [flags, run_it](Context& c) { return run_it(c, *flags); }; });
  return {sub, flags};
}

void add_name(const std::pair<CLI::App*, std::shared_ptr<PolicyFlags>>& verb) {
  verb.first->add_option("--name,-n", verb.second->name, "Name of the policy")->required();
}

void add_key(const std::pair<CLI::App*, std::shared_ptr<PolicyFlags>>& verb, const std::string& help) {
  verb.first->add_option("--key", verb.second->key, help)->check(CLI::IsMember({"primary", "secondary"}));
}

}  // namespace

void add_policy_commands(CLI::App& hub, Context& context) {
  auto* policy = hub.add_subcommand("policy", "Shared access policies: keys with rights, for operators' programs");
  policy->require_subcommand(1);
  add_verb(policy, context, "list", "List policies", list_policies);
  const auto shown = add_verb(policy, context, "show", "Show a policy", show_policy);
  add_name(shown);
  shown.first->add_flag("--keys", shown.second->wants_keys, "With its keys (secrets; administrators only)");
  const auto created = add_verb(policy, context, "create", "Make a policy; keys are made unless given", create_policy);
  add_name(created);
  created.first
      ->add_option("--rights", created.second->rights,
                   "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect: one or more")
      ->required()
      ->delimiter(',');
  created.first->add_option("--primary-key", created.second->primary, "Base64 of 16 to 64 bytes");
  created.first->add_option("--secondary-key", created.second->secondary, "Base64 of 16 to 64 bytes");
  const auto renewed = add_verb(policy, context, "renew", "Put a new key in place of one", renew_key);
  add_name(renewed);
  add_key(renewed, "primary or secondary");
  renewed.first->get_option("--key")->required();
  add_name(add_verb(policy, context, "delete", "Delete a policy that is not built in", delete_policy));

  auto* strings = hub.add_subcommand("connection-string", "Connection string for a policy");
  strings->require_subcommand(1);
  const auto string = add_verb(strings, context, "show", "Print the connection string (a secret)", connection_string);
  string.second->name = "iothubowner";
  string.first->add_option("--policy", string.second->name, "Policy whose key it holds")->capture_default_str();
  add_key(string, "primary or secondary; primary unless given");
}

}  // namespace godwit::cli
