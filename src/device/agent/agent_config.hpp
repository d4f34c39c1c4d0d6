// What an operator tells an agent: agent.toml, strict. The reference page is docs/reference/agent-configuration.md.
// A plain struct, filled once in main(); then read-only and safe from any thread.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/config.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/model/compatibility.hpp"

namespace godwit::agent {

struct AgentConfig {
  // hub
  std::string hub_host;
  std::int64_t hub_port = 8883;
  std::string hub_name;      // "": hub_host
  std::string hub_tls_name;  // "": hub_host
  std::string device_id;
  Path key_file;  // or the next one
  Path certificate_file;
  Path certificate_key_file;      // "": certificate_file
  std::string certificate_key{};  // in hardware, in place of the file
  std::string trust = "file";
  Path ca_file;  // "" with trust = "system"
  Duration keep_alive = std::chrono::minutes(4);
  Duration token_lifetime = std::chrono::hours(1);
  Duration connect_timeout = std::chrono::seconds(30);
  Duration reconnect_limit = std::chrono::minutes(5);
  Duration reconnect_spread = std::chrono::seconds(10);

  // connection
  std::string transport = "auto";
  std::int64_t websocket_port = 443;
  std::string proxy{};
  Path proxy_credentials_file{};
  std::string environment_proxy{};  // no keys: what the program found in its environment
  std::string environment_no_proxy{};

  // provisioning; without an id scope the hub is configured
  std::string id_scope{};
  std::string provisioning_host = "global.azure-devices-provisioning.net";
  std::int64_t provisioning_port = 8883;
  std::string registration_id{};
  Path group_key_file{};

  // device
  std::string manufacturer;
  std::string model;
  std::vector<std::string> properties;  // "name=value"
  std::vector<std::string> compat_property_names{"manufacturer", "model"};

  // agent
  Path data = "/var/lib/godwit/agent";
  Path socket = "/run/godwit-agent/agent.sock";
  std::string socket_mode = "0660";
  Path trust_anchors = "/etc/godwit/trust-anchors.json";

  // installer
  Path installer_socket = "/run/godwit/installer.sock";
  Duration installer_patience = std::chrono::minutes(2);
  Duration act_time_limit = std::chrono::hours(9);

  // consent
  std::vector<std::string> consent_command{};  // empty: nobody is asked
  Duration consent_time_limit = std::chrono::minutes(1);

  // download
  Path download_ca_file;  // "": ca_file
  std::string download_proxy;
  bool allow_http = false;
  std::vector<std::string> download_sources{};  // see sources.hpp
  Duration download_source_patience = std::chrono::seconds(10);
  Duration download_give_up_after = std::chrono::minutes(30);
  Duration download_time_limit = std::chrono::hours(8);
  config::ByteSize download_max_rate{0};
  config::ByteSize download_reserve{32ULL * 1024 * 1024};

  // extension
  Duration extension_cancel_grace = std::chrono::seconds(10);
  config::ByteSize extension_memory{0};

  // logs
  std::vector<std::string> log_paths;  // "name=/path"; "": those below
  std::vector<std::string> log_units{"godwit-agent.service", "godwit-installer.service"};
  config::ByteSize log_bytes{1024 * 1024};
  std::int64_t log_files = 16;

  // log
  std::string log_level = "info";
  std::string log_format = "text";
  config::ByteSize log_keep{256 * 1024};

  [[nodiscard]] config::Schema schema();

  /// All device properties: manufacturer, model and the additional ones.
  [[nodiscard]] CompatibilitySet device_properties() const;
  [[nodiscard]] Path outbox_folder() const { return data / "outbox"; }
  [[nodiscard]] Path cache_folder() const { return data / "cache"; }
  [[nodiscard]] Path downloads_folder() const { return data / "downloads"; }
  [[nodiscard]] Path own_log_folder() const { return data / "log"; }
  [[nodiscard]] Path log_copies_folder() const { return data / "logs"; }
  [[nodiscard]] Path log_state_file() const { return data / "logs.json"; }
  [[nodiscard]] Path history_file() const { return data / "history.json"; }
  [[nodiscard]] unsigned socket_permissions() const;
  [[nodiscard]] Path pause_file() const { return data / "pause.json"; }
  [[nodiscard]] Path journal_file() const { return data / "journal.json"; }
  [[nodiscard]] Path transport_file() const { return data / "transport.json"; }
  [[nodiscard]] bool is_provisioned() const { return !id_scope.empty(); }
  [[nodiscard]] Path assignment_file() const { return data / "assignment.json"; }
  [[nodiscard]] Path derived_key_file() const { return data / "device.key"; }
  [[nodiscard]] Path time_file() const { return data / "time.json"; }
  [[nodiscard]] Path extensions_file() const { return data / "extensions.json"; }
  [[nodiscard]] Path root_keys_file() const { return data / "rootkeys.json"; }

 private:
  void add_hub_keys(config::Schema& keys);
  void add_connection_keys(config::Schema& keys);
  void add_provisioning_keys(config::Schema& keys);
  void add_device_keys(config::Schema& keys);
  void add_local_keys(config::Schema& keys);
  void add_consent_keys(config::Schema& keys);
  void add_download_keys(config::Schema& keys);
  void add_logs_keys(config::Schema& keys);
  void add_extension_and_log_keys(config::Schema& keys);
};

/// Reads `file`, fills what is empty by default, makes relative paths absolute (against the file's folder) and checks
/// what a device cannot do without. Errors: invalid_argument naming file and key with what to write there; not_found.
[[nodiscard]] Result<AgentConfig> load_agent_config(const Path& file);
/// The part of load_agent_config() that looks at values only. `folder` is where relative paths start.
[[nodiscard]] Result<void> complete_agent_config(AgentConfig& config, const Path& folder);

}  // namespace godwit::agent
