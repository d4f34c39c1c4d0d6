// token create|list|show|revoke
#include <fmt/format.h>

#include "core/base/config.hpp"
#include "core/base/file.hpp"
#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

struct TokenFlags {
  std::string name{};
  std::string role{};
  std::string expires_in{}, expires_at{};
  std::string out_file{};
  bool only_this_instance = false;
};

std::string token_path(const Client& client, const TokenFlags& flags) {
  return client.godwit("/tokens/" + percent_encode(flags.name));
}

std::string state_of(const json::Value& token) {
  if (text_at(token, "isExpired") == "true") return "expired";
  const std::string end = text_at(token, "expiresDateTime").substr(0, 19);
  return end.empty() ? "never" : end;
}

Result<int> list_tokens(Context& context, const TokenFlags&) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(auto tokens, client->get_all(client->godwit("/tokens")));
  Table table({"TOKEN", "ROLE", "INSTANCE", "CREATED", "BY", "EXPIRES", "LAST USED"});
  for (const auto& token : tokens)
    table.add({text_at(token, "name"), text_at(token, "role"), text_at(token, "instanceId"),
               text_at(token, "createdDateTime").substr(0, 19), text_at(token, "createdBy"), state_of(token),
               text_at(token, "lastUsedDateTime").substr(0, 19)});
  context.show(json::Value(std::move(tokens)), table);
  return exit_code::ok;
}

Result<int> show_token(Context& context, const TokenFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto token, client->get(token_path(*client, flags)));
  context.show_json(token);
  return exit_code::ok;
}

/// The secret goes into a file that only its owner reads, or to standard output and nowhere else.
Result<int> create_token(Context& context, const TokenFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  json::Object wish{{"name", flags.name}, {"role", flags.role}};
  if (flags.only_this_instance) wish["instanceId"] = client->connection().instance;
  if (!flags.expires_at.empty()) wish["expiresDateTime"] = flags.expires_at;
  if (!flags.expires_in.empty()) {
    auto life = config::parse_duration(flags.expires_in);
    if (!life) return with_context("--expires-in", std::move(life).error());
    wish["lifetimeInSeconds"] = std::chrono::floor<std::chrono::seconds>(*life).count();
  }
  GODWIT_TRY(const auto response, client->send("POST", client->godwit("/tokens"), {}, json::print(wish)));
  GODWIT_TRY(auto made, json::parse_object(response.body));
  if (!flags.out_file.empty()) {
    GODWIT_TRY_VOID(write_file_durably(flags.out_file, text_at(json::Value(made), "token") + "\n"));
    made.erase("token");
  }
  if (context.wants_json()) {
    context.show_json(json::Value(std::move(made)));
  } else if (flags.out_file.empty()) {
    fmt::print("{}\n", text_at(json::Value(made), "token"));
    fmt::print(stderr, "made token {} with role {}; this is the only time it is shown\n", flags.name, flags.role);
  } else {
    fmt::print("made token {} with role {}; it is in {}\n", flags.name, flags.role, flags.out_file);
  }
  return exit_code::ok;
}

Result<int> revoke_token(Context& context, const TokenFlags& flags) {
  GODWIT_TRY_VOID(context.confirm("Revoke token '" + flags.name + "'? Who uses it is locked out at once."));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY([[maybe_unused]] const auto gone, client->send("DELETE", token_path(*client, flags)));
  if (!context.wants_json()) fmt::print("revoked token {}\n", flags.name);
  return exit_code::ok;
}

using Command = Result<int> (*)(Context&, const TokenFlags&);

std::pair<CLI::App*, std::shared_ptr<TokenFlags>> add_verb(CLI::App* parent, Context& context, const std::string& name,
                                                           const std::string& help, Command run_it) {
  auto* sub = parent->add_subcommand(name, help);
  auto flags = std::make_shared<TokenFlags>();
  sub->callback(
      [&context, flags, run_it] { context.action = [flags, run_it](Context& c) { return run_it(c, *flags); }; });
  return {sub, flags};
}

void add_name(const std::pair<CLI::App*, std::shared_ptr<TokenFlags>>& verb) {
  verb.first->add_option("--name,-n", verb.second->name, "Name of the token; it appears in the audit trail")
      ->required();
}

}  // namespace

void add_token_commands(CLI::App& root, Context& context) {
  auto* token = root.add_subcommand("token", "Bearer tokens: who may use this service, and as what");
  token->require_subcommand(1);
  add_verb(token, context, "list", "List tokens (never their secrets)", list_tokens);
  add_name(add_verb(token, context, "show", "Show a token (never its secret)", show_token));
  const auto [created, flags] =
      add_verb(token, context, "create", "Make a token and print it, this once", create_token);
  add_name({created, flags});
  created
      ->add_option("--role", flags->role,
                   "administrator, reader, content-administrator, content-reader, deployments-administrator, "
                   "deployments-reader or hub-administrator")
      ->required();
  created->add_flag("--only-this-instance", flags->only_this_instance, "It opens no other instance of the service");
  auto* in =
      created->add_option("--expires-in", flags->expires_in, "How long it lives, such as 8h or 30d; else for ever");
  created->add_option("--expires-at", flags->expires_at, "When it ends, such as 2030-01-01T00:00:00Z")->excludes(in);
  created->add_option("--out-file", flags->out_file, "Write it into this file, readable by the owner only, instead");
  add_name(add_verb(token, context, "revoke", "End a token at once", revoke_token));
}

}  // namespace godwit::cli
