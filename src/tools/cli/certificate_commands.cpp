// hub certificate create|list|show|enable|disable|delete|revoke-list
#include <fmt/format.h>

#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

constexpr ByteCount kFileLimit = 3 * 1024 * 1024;

struct CertificateFlags {
  std::string name{}, path{};
  bool disabled = false, remove = false;
};

std::string path_of(const Client& client, const CertificateFlags& flags) {
  return client.godwit("/hub/certificates/" + percent_encode(flags.name));
}

Result<int> report(const Context& context, const Response& response, const std::string& sentence) {
  if (context.wants_json() && !response.body.empty()) {
    GODWIT_TRY(const auto body, json::parse(response.body, {.bytes = 4 * 1024 * 1024, .depth = 32}));
    context.show_json(body);
  } else if (!context.wants_json()) {
    fmt::print("{}\n", sentence);
  }
  return exit_code::ok;
}

Result<int> create(Context& context, const CertificateFlags& flags) {
  GODWIT_TRY(const std::string pem, read_file(flags.path, kFileLimit));
  GODWIT_TRY(auto* client, context.client());
  const json::Object body{{"certificate", pem}, {"isEnabled", !flags.disabled}};
  GODWIT_TRY(const auto response, client->send("PUT", path_of(*client, flags), {}, json::print(body)));
  return report(context, response, "added authority " + flags.name);
}

Result<int> list(Context& context, const CertificateFlags&) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto body, client->get(client->godwit("/hub/certificates")));
  const auto* values = body.is_object() ? body.as_object().if_contains("value") : nullptr;
  if (values == nullptr || !values->is_array()) return fail(Code::bad_json, "the answer is not a list");
  Table table({"NAME", "ENABLED", "EXPIRES", "REVOKED", "LIST EXPIRES", "SUBJECT"});
  for (const auto& one : values->as_array())
    table.add({text_at(one, "name"), text_at(one, "isEnabled") == "true" ? "yes" : "no",
               text_at(one, "notAfter").substr(0, 10), text_at(one, "revocationList.revoked"),
               text_at(one, "revocationList.expires").substr(0, 10), text_at(one, "subject")});
  context.show(*values, table);
  return exit_code::ok;
}

Result<int> show(Context& context, const CertificateFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto body, client->get(path_of(*client, flags)));
  context.show_json(body);
  return exit_code::ok;
}

Result<int> set_enabled(Context& context, const CertificateFlags& flags, bool is_enabled) {
  GODWIT_TRY(auto* client, context.client());
  const std::string body = json::print(json::Object{{"isEnabled", is_enabled}});
  GODWIT_TRY(const auto response, client->send("PATCH", path_of(*client, flags), {}, body));
  return report(context, response, (is_enabled ? "enabled authority " : "disabled authority ") + flags.name);
}

Result<int> remove(Context& context, const CertificateFlags& flags) {
  GODWIT_TRY_VOID(context.confirm("Remove authority '" + flags.name + "'? Its devices will be disconnected."));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto response, client->send("DELETE", path_of(*client, flags)));
  return report(context, response, "removed authority " + flags.name);
}

Result<int> revoke_list(Context& context, const CertificateFlags& flags) {
  if (flags.path.empty() != flags.remove) return fail(Code::invalid_argument, "give either --path LIST or --remove");
  GODWIT_TRY(auto* client, context.client());
  const std::string path = path_of(*client, flags) + "/revocationList";
  if (flags.remove) {
    GODWIT_TRY_VOID(context.confirm("Remove the revocation list of '" + flags.name + "'? What it revokes comes back."));
    GODWIT_TRY(const auto response, client->send("DELETE", path));
    return report(context, response, "removed the revocation list of " + flags.name);
  }
  GODWIT_TRY(const std::string pem, read_file(flags.path, kFileLimit));
  GODWIT_TRY(const auto response, client->send("PUT", path, {}, json::print(json::Object{{"revocationList", pem}})));
  return report(context, response, "the revocation list of " + flags.name + " is in force");
}

}  // namespace

void add_certificate_commands(CLI::App& hub, Context& context) {
  auto* certificate = hub.add_subcommand("certificate", "Certificate authorities whose devices may connect");
  certificate->require_subcommand(1);
  const auto command = [&context, certificate](const std::string& name, const std::string& help, bool wants_name,
                                               std::function<Result<int>(Context&, const CertificateFlags&)> run_it) {
    auto* sub = certificate->add_subcommand(name, help);
    auto flags = std::make_shared<CertificateFlags>();
    if (wants_name) sub->add_option("--certificate-name,--name", flags->name, "Name of the authority")->required();
    sub->callback(
        [&context, flags, run_it] { context.action = [flags, run_it](Context& c) { return run_it(c, *flags); }; });
    return std::pair{sub, flags};
  };
  const auto created = command("create", "Trust an authority (root or intermediate)", true, create);
  created.first->add_option("--path", created.second->path, "Its certificate, PEM")->required();
  created.first->add_flag("--disabled", created.second->disabled, "Add it, but trust it only when it is enabled");
  command("list", "List authorities", false, list);
  command("show", "Show an authority", true, show);
  command("enable", "Trust an authority again", true,
          [](Context& c, const CertificateFlags& f) { return set_enabled(c, f, true); });
  command("disable", "Trust an authority no more; its devices are disconnected", true,
          [](Context& c, const CertificateFlags& f) { return set_enabled(c, f, false); });
  command("delete", "Remove an authority", true, remove);
  const auto listed = command("revoke-list", "Set or remove the revocation list of an authority", true, revoke_list);
  listed.first->add_option("--path", listed.second->path, "The list, PEM (X509 CRL)");
  listed.first->add_flag("--remove", listed.second->remove, "Remove the list that is in force");
}

}  // namespace godwit::cli
