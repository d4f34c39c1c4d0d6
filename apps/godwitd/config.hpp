// What an operator tells the service: DATA/godwit.toml, strict. The reference page is docs/reference/configuration.md.
// A plain struct, filled once in main(); then read-only and safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/config.hpp"
#include "server/service/import/scanner.hpp"

namespace godwit::daemon {

struct Config {
  std::string hub_name = "godwit.local";
  std::string hub_address = "0.0.0.0";
  std::int64_t hub_port = 8883;

  std::string dps_id_scope;      // "": follows from hub_name
  std::string dps_assigned_hub;  // "": api_host, with the port when it is not 8883

  std::string api_host = "localhost";
  std::string api_address = "0.0.0.0";
  std::int64_t api_port = 8443;
  std::string api_public_url;  // "": https://api_host:port
  std::string api_instance = "default";
  std::int64_t api_workers = 4;
  bool api_open_metrics = false;
  config::ByteSize api_least_free_disk{64ULL * 1024 * 1024};

  std::string console_folder;  // "": beside the program

  std::int64_t throttle_reads = 60'000;
  std::int64_t throttle_writes = 60'000;
  std::int64_t throttle_deployments = 600;

  Duration link_lifetime = std::chrono::hours(24 * 7);

  std::int64_t limit_devices = 0;  // 0: no limit, so below
  std::int64_t limit_groups = 0;
  std::int64_t limit_classes = 0;
  std::int64_t limit_active_deployments = 1'000;
  std::int64_t limit_deployments = 10'000;

  Duration silence_deadline = std::chrono::hours(24 * 7);
  Duration total_deadline = std::chrono::hours(24 * 30);

  bool import_allow_private_addresses = false;
  std::string import_ca_file;  // "": the system's
  bool import_require_scan = false;

  std::int64_t delta_versions = 3;
  std::int64_t delta_least_saving = 30;  // percent
  config::ByteSize delta_largest_file{std::uint64_t{2} << 30U};
  Duration delta_time_limit = std::chrono::minutes(20);
  std::int64_t delta_level = 19;

  std::string scan_kind = "none";
  std::string scan_clamd = "/run/clamav/clamd.ctl";
  std::vector<std::string> scan_command{};
  config::ByteSize scan_largest_file{std::uint64_t{100} << 20U};
  Duration scan_time_limit = std::chrono::minutes(10);

  Duration blobs_keep_upload = std::chrono::hours(24);
  Duration blobs_keep_unused = std::chrono::hours(24);
  config::ByteSize blobs_check_rate{std::uint64_t{8} << 20U};  // in a second; 0: off
  Duration blobs_check_every = std::chrono::hours(24 * 7);

  std::int64_t quota_providers = 0;  // 0: no limit, as with all of them
  std::int64_t quota_names_per_provider = 0;
  std::int64_t quota_versions_per_name = 0;
  std::int64_t quota_updates = 0;
  config::ByteSize quota_file_size{};
  config::ByteSize quota_import_size{};
  config::ByteSize quota_storage{};

  Duration logs_deadline = std::chrono::hours(24);
  Duration logs_retention = std::chrono::hours(24 * 30);
  config::ByteSize logs_device_bytes{32ULL * 1024 * 1024};
  config::ByteSize logs_total_bytes{10ULL * 1024 * 1024 * 1024};

  std::string telemetry_webhook_url;         // "": none
  std::string telemetry_webhook_ca_file;     // "": the system's
  std::string telemetry_webhook_token_file;  // "": no Authorization

  std::string log_level = "info";
  std::string log_format = "text";
};

/// Points into `config`, which must live as long.
[[nodiscard]] config::Schema schema_of(Config& config);
/// The keys that a further instance has of its own, in its instance.toml.
[[nodiscard]] config::Schema instance_schema_of(Config& config);
/// What is stronger than the file: first the environment, then what stands on the command line.
struct Overrides {
  std::vector<std::string> environment{};  // NAME=VALUE; those that begin with kVariablePrefix are ours
  std::vector<std::string> settings{};     // KEY=VALUE, of --set
};
/// Long enough that no cluster makes such names by itself: Kubernetes gives every container NAME_SERVICE_HOST and
/// NAME_PORT for each service of its namespace, whatever that is called.
inline constexpr const char* kVariablePrefix = "GODWITD_CONFIG_";
/// Sets what they say. Errors: invalid_argument naming variable or key.
[[nodiscard]] Result<void> apply_overrides(Config& config, const Overrides& overrides);
/// This process's environment as Overrides want it.
[[nodiscard]] std::vector<std::string> own_environment();
/// Errors: invalid_argument naming file, line and key, or variable; not_found with the command that makes the file.
[[nodiscard]] Result<Config> load_config(const Path& file, const Overrides& overrides = {});
/// A further instance: what `first` says, changed by `file` where that has keys. Errors: as load_config().
[[nodiscard]] Result<Config> load_instance_config(const Config& first, std::string id, const Path& file);
[[nodiscard]] service::ScanSettings scan_settings_of(const Config& config);
/// Rules over several keys. Errors: invalid_argument.
[[nodiscard]] Result<void> check_config(const Config& config);
/// A line for each key: the environment variable that sets it, a blank, the key.
[[nodiscard]] std::string print_variables();
/// The effective configuration as TOML with comments.
[[nodiscard]] std::string print_config(const Config& config);

}  // namespace godwit::daemon
