// The deviceUpdate contract on the twin, contract models 1, 2 and 3, as values: what the service writes into desired,
// what an agent reads from it, what an agent reports and what the service reads from that.
// Pure functions; safe from any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/model/compatibility.hpp"
#include "core/model/outcome.hpp"
#include "core/model/update_id.hpp"

namespace godwit::twin {

// ---- service -> device -------------------------------------------------------------------------------------------

enum class Action : std::int32_t { process_deployment = 3, cancel = 255 };

/// The goal of one device.
struct DesiredUpdate {
  Action action = Action::process_deployment;
  std::string workflow_id;      // 1..128 of A-Z a-z 0-9 . _ -
  std::string retry_timestamp;  // "" on the first try
  std::string root_key_package_url;
  std::string manifest;                          // exact signed bytes
  std::string manifest_signature;                // compact JWS
  std::map<std::string, std::string> file_urls;  // file id -> URL
  friend bool operator==(const DesiredUpdate&, const DesiredUpdate&) = default;
};

/// The desired patch that makes `goal` so, in the dialect of `model`; `current` is the present desired section, so that
/// URLs (and an older retryTimestamp) that are no longer wanted become null. For cancel only `workflow` is written.
[[nodiscard]] json::Object desired_patch(const DesiredUpdate& goal, ContractModel model, const json::Object& current);

/// Reads `deviceUpdate.service` of a full desired section (agent side). nullopt: there is no goal.
/// Errors: bad_json naming the member (wrong type, missing workflow.id, unknown action, id not path-safe; for a
/// deployment also a missing rootKeyPackageUrl). A missing manifest or signature is "" here: the check of the signature
/// reports it.
[[nodiscard]] Result<std::optional<DesiredUpdate>> read_desired(const json::Object& desired);

// ---- device -> service -------------------------------------------------------------------------------------------

struct AgentIdentity {
  std::map<std::string, std::string> properties;   // manufacturer, model and additional ones
  std::vector<std::string> compat_property_names;  // 1..5, in order
  ContractModel contract = ContractModel::v3;
  std::string agent_version;
};

struct Progress {         // Godwit's own addition beside the contract's members; latest wins, may be absent
  std::string phase;      // a state name of the agent's table: "downloading", "installing" ...
  std::int64_t step = 0;  // from 0
  std::int64_t steps = 0;
  std::int64_t done_bytes = 0;
  std::int64_t total_bytes = 0;
  std::string waiting_for{};  // why nothing moves: the reason that a consent command or a pause gave; "" else
};

struct AgentReport {
  AgentState state = AgentState::idle;
  std::string workflow_id;  // "" when there is none
  Action action = Action::process_deployment;
  std::string retry_timestamp;
  std::optional<UpdateId> installed_update;
  std::optional<InstallResult> result;
  std::optional<Progress> progress;
};

/// Reported patches of our agent (contract model 3). All carry the component marker "__t":"c".
[[nodiscard]] json::Object identity_patch(const AgentIdentity& identity);
/// State 6 sends stepResults null; a missing progress is written as null so that a stale one disappears. Without
/// installed_update the member is left out and the twin keeps what was reported before. Progress lies at
/// godwit.progress.
[[nodiscard]] json::Object report_patch(const AgentReport& report);
[[nodiscard]] json::Object progress_patch(const Progress& progress);
/// As it lies at godwit.progress, and as the service's own API shows it.
[[nodiscard]] json::Object progress_to_json(const Progress& progress);
/// Ack of the writable property `service`: value echo with signature and URLs nulled, ac, ad, av.
[[nodiscard]] json::Object ack_patch(const DesiredUpdate& goal, int status, std::string_view description,
                                     std::uint64_t desired_version);

/// What the service reads out of a whole reported section. Tolerant: both result shapes (stepResults map or step_N
/// members inside lastInstallResult), both spellings of extended codes, numbers as int or string.
struct ReportedAgent {
  std::optional<AgentIdentity> identity;  // nullopt: no usable deviceProperties/compatPropertyNames
  std::string
      identity_problem;  // why, when nullopt ("compatPropertyNames names 'x' but deviceProperties has no such value")
  std::optional<AgentReport> report;  // nullopt: no state yet
  std::optional<int> ack_status;      // `ac` of the service property
};
[[nodiscard]] ReportedAgent read_reported(const json::Object& reported);

}  // namespace godwit::twin
