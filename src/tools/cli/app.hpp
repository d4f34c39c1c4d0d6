// The operator's command line: verbs shaped like the well-known ones, tables for people, -o json for programs.
// Each command registers itself and leaves an action; run() parses, connects when the action needs it, prints errors.
// One thread.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <memory>
#include <string>

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "tools/cli/client.hpp"
#include "tools/cli/connection.hpp"
#include "tools/cli/table.hpp"

namespace godwit::cli {

/// Exit codes, documented in docs/reference/cli.md.
namespace exit_code {
inline constexpr int ok = 0, failed = 1, wrong_usage = 2, deployment_failed = 3, timed_out = 4;
}

class Context;
using Action = std::function<Result<int>(Context&)>;

class Context {
 public:
  ConnectionFlags flags{};
  std::string output = "table";
  bool assume_yes = false;
  Action action{};
  Environment environment = [](const char*) { return std::optional<std::string>{}; };

  [[nodiscard]] bool wants_json() const { return output == "json"; }
  /// Connects with flags, environment and file on first use.
  [[nodiscard]] Result<Client*> client();
  /// Prints `value` as JSON, or `table` for people.
  void show(const json::Value& value, const Table& table) const;
  void show_json(const json::Value& value) const;
  /// Asks on a terminal; -y answers yes; without a terminal the answer is an error that names -y.
  [[nodiscard]] Result<void> confirm(const std::string& question) const;

 private:
  std::unique_ptr<Client> client_{};
};

void add_update_commands(CLI::App& root, Context& context);        // update list|show|delete|file|calculate-hash
void add_init_command(CLI::App& update, Context& context);         // update init v5
void add_import_command(CLI::App& update, Context& context);       // update import
void add_storage_commands(CLI::App& update, Context& context);     // update storage show|check
void add_device_commands(CLI::App& root, Context& context);        // device list|show|group|class|compliance
void add_deployment_commands(CLI::App& device, Context& context);  // device deployment ...
void add_message_commands(CLI::App& device, Context& context);     // device c2d-message|tag
void add_log_commands(CLI::App& device, Context& context);         // device log ...
void add_telemetry_commands(CLI::App& hub, Context& context);      // hub monitor-events|invoke-device-method
void add_job_commands(CLI::App& hub, Context& context);            // hub job
void add_hub_commands(CLI::App& root, Context& context);           // hub device-identity|device-twin
void add_query_command(CLI::App& hub, Context& context);           // hub query
void add_policy_commands(CLI::App& hub, Context& context);         // hub policy|connection-string
void add_certificate_commands(CLI::App& hub, Context& context);    // hub certificate
void add_dps_commands(CLI::App& root, Context& context);           // dps show|enrollment-group|enrollment|registration

void add_token_commands(CLI::App& root, Context& context);      // token create|list|show|revoke
void add_delta_commands(CLI::App& root, Context& context);      // delta make|apply|show
void add_image_commands(CLI::App& root, Context& context);      // image pack
void add_enrolment_commands(CLI::App& root, Context& context);  // enrolment url|renew-key

void add_deploy_command(CLI::App& root, Context& context);  // deploy
void add_login_command(CLI::App& root, Context& context);   // login
void add_doctor_command(CLI::App& root, Context& context);  // doctor

/// An update for a group.
struct Rollout {
  std::string provider{}, name{}, version{}, group{};
  int timeout_seconds = 0;
};
/// Makes a deployment with a new id and follows it to its end, as `device deployment show --wait` does.
[[nodiscard]] Result<int> deploy_and_follow(Context& context, const Rollout& rollout);

/// Makes the whole tree of verbs; used by run() and by the completion generator.
[[nodiscard]] std::unique_ptr<CLI::App> make_app(Context& context);

/// Whole program; returns the exit code.
[[nodiscard]] int run(int argc, char** argv, const Environment& environment);

// Small readers shared by the commands.
[[nodiscard]] std::string text_at(const json::Value& value,
                                  std::string_view path);  // "update.updateId.version", "" if absent
[[nodiscard]] std::int64_t number_at(const json::Value& value, std::string_view path);
[[nodiscard]] std::string update_name(const json::Value& update_info);  // "Contoso/Toaster 1.2.0" or "-"

}  // namespace godwit::cli
