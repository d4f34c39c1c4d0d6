// enrolment url|renew-key: the secret URL of `godwit-agent enrol`, shown again, and made anew when it has leaked.
#include <fmt/format.h>

#include "core/base/text.hpp"
#include "core/trust/certificates.hpp"
#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

constexpr std::size_t kKeyBytes = 32;

struct EnrolmentFlags {
  std::string group = "devices";
  std::string address{};
  std::string file{};
};

std::string path_of(const EnrolmentFlags& flags) { return "/enrollmentGroups/" + percent_encode(flags.group); }

/// The authority that devices shall believe, as the service shows it to them.
Result<std::string> fingerprint(Client& client) {
  GODWIT_TRY(const auto facts, client.get("/enrolment"));
  auto found = trust::certificate_fingerprint(text_at(facts, "ca"));
  if (!found) return with_context("GET /enrolment", found.error());
  return hex_encode(*found);
}

/// Prints the URL, or writes it where only its owner reads it.
Result<void> hand_over(Context& context, Client& client, const EnrolmentFlags& flags, const std::string& key) {
  GODWIT_TRY(const std::string authority, fingerprint(client));
  const std::string address = flags.address.empty() ? client.connection().url : flags.address;
  const std::string url = address + "#" + authority + "-" + hex_encode(key);
  if (!flags.file.empty()) {
    GODWIT_TRY_VOID(write_file_durably(flags.file, url + "\n", 0600));
    if (!context.wants_json()) fmt::print("written to {} (secret)\n", flags.file);
  } else if (context.wants_json()) {
    context.show_json(json::Object{{"enrolmentUrl", url}});
  } else {
    fmt::print("{}\n", url);
  }
  if (flags.address.empty() && address.find("//localhost") != std::string::npos)
    fmt::print(stderr, "godwit: other machines do not reach that as localhost; give --address https://NAME:PORT\n");
  return {};
}

Result<int> show_url(Context& context, const EnrolmentFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto response, client->send("POST", path_of(flags) + "/attestationmechanism"));
  GODWIT_TRY(const auto body, json::parse(response.body));
  const auto key = base64_decode(text_at(body, "symmetricKey.primaryKey"));
  if (!key || key->empty())
    return fail(Code::invalid_argument,
                "enrollment group '" + flags.group + "' attests by certificate; devices enrol by URL with a key only");
  GODWIT_TRY_VOID(hand_over(context, *client, flags, *key));
  return exit_code::ok;
}

/// How many devices came by this group; 1000 stands for more.
Result<std::size_t> count_registrations(Client& client, const EnrolmentFlags& flags) {
  GODWIT_TRY(const auto response, client.send("POST", "/registrations/" + percent_encode(flags.group) + "/query", {},
                                              R"({"query":"*"})", {"x-ms-max-item-count: 1000"}));
  GODWIT_TRY(const auto page, json::parse(response.body, {.bytes = 64 * 1024 * 1024, .depth = 32}));
  return page.is_array() ? page.as_array().size() : 0;
}

Result<int> renew_key(Context& context, const EnrolmentFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto before, client->get(path_of(flags)));
  if (!before.is_object() || text_at(before, "attestation.type") != "symmetricKey")
    return fail(Code::invalid_argument, "enrollment group '" + flags.group + "' has no key to renew");
  GODWIT_TRY_VOID(context.confirm("Replace both keys of enrollment group '" + flags.group +
                                  "'? The URL and the device keys of before enrol nobody any more; devices that are "
                                  "enrolled stay connected."));
  const Bytes key = random_bytes(kKeyBytes);
  json::Object body = before.as_object();
  body["attestation"] = json::Object{
      {"type", "symmetricKey"},
      {"symmetricKey",
       json::Object{{"primaryKey", base64_encode(key)}, {"secondaryKey", base64_encode(random_bytes(kKeyBytes))}}}};
  const std::string match = "If-Match: \"" + text_at(before, "etag") + "\"";
  GODWIT_TRY([[maybe_unused]] const auto changed, client->send("PUT", path_of(flags), {}, json::print(body), {match}));
  if (auto told = hand_over(context, *client, flags, key); !told)
    return with_context("the keys are replaced; show the new URL with: godwit enrolment url", told.error());
  const auto count = count_registrations(*client, flags);
  if (!count) return with_context("the keys are replaced; list who came by the old one", count.error());
  if (*count > 0)
    fmt::print(
        stderr,
        "{}{} device{} came by the old key. Whoever has it can compute their keys and speak in their names until "
        "each comes anew:\n  godwit-agent enrol - --again ... < FILE\n"
        "Look for those you do not know:\n  godwit dps registration list --eid {}\n",
        *count, *count == 1000 ? " or more" : "", *count == 1 ? "" : "s", flags.group);
  return exit_code::ok;
}

}  // namespace

void add_enrolment_commands(CLI::App& root, Context& context) {
  auto* enrolment = root.add_subcommand("enrolment", "The secret URL by which devices enrol themselves");
  enrolment->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, Result<int> (*run_it)(Context&, const EnrolmentFlags&)) {
    auto* verb = enrolment->add_subcommand(name, help);
    auto flags = std::make_shared<EnrolmentFlags>();
    verb->add_option("--enrollment-id,--eid", flags->group, "Enrollment group whose key is in the URL")
        ->capture_default_str();
    verb->add_option("--address", flags->address,
                     "https://host:port by which devices reach the service; default: the one of this login")
        ->check([](const std::string& text) {
          return text.starts_with("https://") && text.find_first_of("#? ") == std::string::npos && !text.ends_with('/')
                     ? std::string()
                     : std::string("an address is https://host:port");
        });
    verb->add_option("--file", flags->file, "Write it there, readable by nobody else, instead of printing it");
    verb->callback(
        [&context, flags, run_it] { context.action = [flags, run_it](Context& c) { return run_it(c, *flags); }; });
  };
  add("url", "Show it (a secret)", show_url);
  add("renew-key", "Replace the group's keys after the URL has leaked, and show the new one", renew_key);
}

}  // namespace godwit::cli
