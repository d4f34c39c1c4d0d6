// login: tries a service and keeps where it is and who we are for the commands to come.
#include <fmt/format.h>

#include "core/base/text.hpp"
#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

constexpr ByteCount kSmallFile = 64 * 1024;

struct LoginFlags {
  std::string url{};
  std::string data = "/var/lib/godwitd";
};

/// What a data folder of godwitd on this machine says.
Result<ConnectionFlags> from_data_folder(const Path& data) {
  auto text = read_file(data / "enrolment.url", kSmallFile);
  if (!text && text.error().code == Code::not_found)
    return fail(Code::not_found, "no address was given, and " + data.string() +
                                     " is no installation: on the machine that serves run godwitd init first, on "
                                     "another give https://host:port with --token-file and --ca");
  if (!text)
    return with_context(
        "no address was given, and the service of this machine can be read by root only: use sudo, or give an address "
        "with --token-file and --ca",
        text.error());
  return ConnectionFlags{.url = text->substr(0, text->find('#')),
                         .token_file = (data / "admin.token").string(),
                         .ca = (data / "tls" / "ca.pem").string(),
                         .instance = {}};
}

std::string toml_text(const std::string& text) { return json::print(json::Value(boost::json::string(text))); }

Result<void> keep(const Path& folder, const Connection& connection) {
  GODWIT_TRY_VOID(make_folders(folder));
  const Path token = folder / "token";
  GODWIT_TRY_VOID(write_file_durably(token, connection.token.reveal() + "\n", 0600));
  std::string config = "# Written by godwit login.\nurl = " + toml_text(connection.url) +
                       "\ntoken_file = " + toml_text(token.string()) + "\n";
  if (!connection.ca_file.empty()) {
    GODWIT_TRY(const std::string ca, read_file(connection.ca_file, kSmallFile));
    GODWIT_TRY_VOID(write_file_durably(folder / "ca.pem", ca, 0644));
    config += "ca = " + toml_text((folder / "ca.pem").string()) + "\n";
  }
  if (connection.instance != "default") config += "instance = " + toml_text(connection.instance) + "\n";
  return write_file_durably(folder / "config.toml", config, 0600);
}

struct Answered {
  Connection connection{};
  json::Value status{};
};

/// Errors: those of the connection and of the service.
Result<Answered> try_service(const ConnectionFlags& wanted, const Environment& environment) {
  GODWIT_TRY(auto connection, find_connection(wanted, environment));
  Client client(connection);
  GODWIT_TRY(auto status, client.get(client.godwit("/status")));
  return Answered{.connection = std::move(connection), .status = std::move(status)};
}

/// The machine that serves often cannot look up its own public name. Its certificate covers localhost, too.
Result<Answered> try_this_machine(ConnectionFlags wanted, const Environment& environment) {
  auto answered = try_service(wanted, environment);
  if (answered || answered.error().code != Code::network_failed) return answered;
  const std::string name = wanted.url;
  wanted.url = "https://localhost" + name.substr(std::min(name.rfind(':'), name.size()));
  auto here = try_service(wanted, environment);
  if (!here) return answered;
  fmt::print(stderr, "godwit: {}; so {} is kept. Devices must be able to reach the other\n", answered.error().message,
             wanted.url);
  return here;
}

Result<int> login(Context& context, const LoginFlags& flags) {
  ConnectionFlags wanted = context.flags;
  if (!flags.url.empty()) wanted.url = flags.url;
  const bool is_here = wanted.url.empty();
  if (is_here) {
    GODWIT_TRY(wanted, from_data_folder(flags.data));
  }
  GODWIT_TRY(const Path folder, settings_folder(context.environment));
  GODWIT_TRY(const auto answered,
             is_here ? try_this_machine(wanted, context.environment) : try_service(wanted, context.environment));
  const auto& [connection, status] = answered;
  GODWIT_TRY_VOID(keep(folder, connection));
  fmt::print("{} answers: godwitd {}, hub {}, {}. Kept in {}\n", connection.url, text_at(status, "version"),
             text_at(status, "hubName"), counted(number_at(status, "deviceCount"), "device"), folder.string());
  return exit_code::ok;
}

}  // namespace

void add_login_command(CLI::App& root, Context& context) {
  auto* verb = root.add_subcommand("login", "Try a service and keep address, token and CA for later commands");
  auto flags = std::make_shared<LoginFlags>();
  verb->add_option("address", flags->url, "https://host:port; without it the service of this machine");
  verb->add_option("--data", flags->data, "Data folder of the service of this machine")->capture_default_str();
  verb->callback([&context, flags] { context.action = [flags](Context& c) { return login(c, *flags); }; });
}

}  // namespace godwit::cli
