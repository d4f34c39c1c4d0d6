#include "apps/godwit-agent/config_verb.hpp"

#include <iostream>

#include "device/agent/du_config.hpp"

namespace godwit::agent_app {

void add_config_verb(CLI::App& app, ConfigFlags& flags) {
  auto* config = app.add_subcommand("config", "Work with configuration files");
  config->require_subcommand(1);
  auto* import =
      config->add_subcommand("import", "Make agent.toml and a key file from the original agent's du-config.json");
  import->add_option("file", flags.from, "du-config.json")->required();
  import->add_option("--out", flags.out, "The file to write; the key goes beside it as device.key")
      ->capture_default_str();
  import->add_option("--ca-file", flags.ca_file,
                     "PEM file of the authorities that the hub's certificate may come from; without it the system's");
}

Result<void> import_config(const ConfigFlags& flags) {
  GODWIT_TRY(const std::string text, read_file(flags.from, agent::kDuConfigLimit));
  agent::DuImport options;
  if (!flags.ca_file.empty()) options.ca_file = flags.ca_file;
  auto imported = agent::import_du_config(text, options);
  if (!imported) return with_context(flags.from, imported.error());
  const Path out = flags.out;
  const Path key = out.parent_path() / options.key_file;
  std::error_code ignored;
  for (const Path& file : {out, key})
    if (std::filesystem::exists(file, ignored))
      return fail(Code::conflict, file.string() + " is there already; nothing was changed. Name another with --out");
  GODWIT_TRY_VOID(write_file_durably(key, imported->key.reveal(), 0600));
  GODWIT_TRY_VOID(write_file_durably(out, imported->toml, 0644));
  std::cout << "Wrote " << out.string() << " and " << key.string() << ".\n";
  for (const std::string& note : imported->notes) std::cout << "note: " << note << '\n';
  return {};
}

}  // namespace godwit::agent_app
