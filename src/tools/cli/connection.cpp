#include "tools/cli/connection.hpp"

#include "core/base/config.hpp"
#include "core/base/text.hpp"

namespace godwit::cli {
namespace {

constexpr ByteCount kTokenFileLimit = 4096;

std::string first_of(const std::string& flag, const std::optional<std::string>& variable, const std::string& file) {
  if (!flag.empty()) return flag;
  if (variable && !variable->empty()) return *variable;
  return file;
}

}  // namespace

Result<Path> settings_folder(const Environment& environment) {
  const std::string home = environment("HOME").value_or("");
  const std::string config = environment("XDG_CONFIG_HOME").value_or("");
  if (home.empty() && config.empty())
    return fail(Code::invalid_argument, "neither HOME nor XDG_CONFIG_HOME says where settings are kept");
  return (config.empty() ? Path(home) / ".config" : Path(config)) / "godwit";
}

Result<Connection> find_connection(const ConnectionFlags& flags, const Environment& environment) {
  ConnectionFlags file;
  const std::string home = environment("HOME").value_or("");
  const Path config_file = Path(environment("XDG_CONFIG_HOME").value_or(home + "/.config")) / "godwit" / "config.toml";
  if (!home.empty() && std::filesystem::exists(config_file)) {
    config::Schema schema;
    schema.add({"url", &file.url, "Base URL of the service, https://host:port."});
    schema.add({"token_file", &file.token_file, "File that holds the bearer token."});
    schema.add({"ca", &file.ca, "PEM file of the CA that signed the service's certificate."});
    schema.add({"instance", &file.instance, "Instance id."});
    GODWIT_TRY_VOID(schema.load_file(config_file));
  }

  Connection connection;
  connection.url = first_of(flags.url, environment("GODWIT_URL"), file.url);
  if (connection.url.empty())
    return fail(Code::invalid_argument,
                "no service address: give --url https://host:port, set GODWIT_URL, or write url = \"...\" into " +
                    config_file.string());
  if (!connection.url.starts_with("https://"))
    return fail(Code::invalid_argument, "the service address '" + connection.url + "' must begin with https://");
  while (connection.url.ends_with('/')) connection.url.pop_back();

  connection.ca_file = first_of(flags.ca, environment("GODWIT_CA"), file.ca);
  connection.instance = first_of(flags.instance, environment("GODWIT_INSTANCE"), file.instance);
  if (connection.instance.empty()) connection.instance = "default";

  if (const auto token = environment("GODWIT_TOKEN"); flags.token_file.empty() && token && !token->empty()) {
    connection.token = Secret(std::string(trimmed(*token)));
    return connection;
  }
  const std::string token_file = first_of(flags.token_file, environment("GODWIT_TOKEN_FILE"), file.token_file);
  if (token_file.empty())
    return fail(Code::invalid_argument,
                "no token: give --token-file FILE or set GODWIT_TOKEN_FILE (godwitd init wrote admin.token into its "
                "data folder)");
  auto text = read_file(token_file, kTokenFileLimit);
  if (!text) return with_context("token file", text.error());
  connection.token = Secret(std::string(trimmed(*text)));
  return connection;
}

}  // namespace godwit::cli
