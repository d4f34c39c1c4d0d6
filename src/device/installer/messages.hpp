// What agent and installer say to each other, as values: requests and replies, their JSON, and the checks on them. The
// framing is device/extension/frames.hpp; the words are told in docs/reference/extensions.md and the room's README.
// Pure functions; safe from any thread.
//
// A client opens a connection, sends requests one after the other, reads replies until the final one (outcome or
// error) of each, and closes the connection when it has nothing more to ask: an installer without connections gives its
// memory back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "core/model/outcome.hpp"
#include "device/extension/ranges.hpp"

namespace godwit::installer {

/// What the installer does with one step. cancel_note runs nothing: it writes down that this attempt is cancelled,
/// after which no act of it starts any more.
enum class Verb : std::uint8_t { is_installed, download, backup, install, apply, restore, cancel_note };
[[nodiscard]] std::string_view verb_name(Verb verb);
[[nodiscard]] Result<Verb> parse_verb(std::string_view name);

struct OpenRequest {
  std::string workflow_id;
  std::uint32_t attempt = 1;
  std::string manifest;  // exact signed bytes
  std::string signature;
  std::string root_key_package;     // "": none offered, the kept one counts
  std::string detached_manifest{};  // the file that a mini manifest points to; "" when `manifest` is whole
  json::Object children{};          // {"<file id>":"<document>"}: the files that reference steps point to
  json::Object components{};        // {"components":[...],"selected":{}}, manifest_handler.h; empty: no enumerator
};
/// Pieces of one file that its step streams.
struct Pieces {
  std::string file_id;
  std::vector<extension::FileRange> ranges;
  friend bool operator==(const Pieces&, const Pieces&) = default;
};
struct ActRequest {
  std::string workflow_id;
  std::uint32_t attempt = 1;
  std::uint32_t step = 0;  // index in the plan
  Verb verb = Verb::is_installed;
  std::string files_folder;  // where the agent left the payloads, each under its file id or its file name; "" if none
  std::optional<Pieces> pieces{};  // install only: they lie in files_folder, one after the other
  std::string pieces_file{};       // the plain name under which they do
};
struct CancelRequest {
  std::string workflow_id;
};
struct CloseRequest {
  std::string workflow_id;
};
struct StatusRequest {};
/// Restarts the device. Taken only when an act of this attempt asked for it; answers with success once the restart
/// command has ended well. Whoever asks then waits for the end of the world.
struct RestartDeviceRequest {
  std::string workflow_id;
  std::uint32_t attempt = 1;
};
using Request = std::variant<OpenRequest, ActRequest, CancelRequest, CloseRequest, StatusRequest, RestartDeviceRequest>;

/// "" if `id` may name a workflow (and its folder): 1..64 of A-Z a-z 0-9 and '-', else a sentence fragment.
[[nodiscard]] std::string check_workflow_id(std::string_view id);

/// Errors: invalid_argument (field and reason), unsupported (an op that this build does not know).
[[nodiscard]] Result<Request> parse_request(const json::Object& message);
[[nodiscard]] json::Object to_json(const Request& request);

/// What a download handler may make a file from.
struct RelatedPlanFile {
  std::string id;
  std::string name;
  std::uint64_t size = 0;
  std::string sha256;         // 64 hex digits
  json::Object properties{};  // strings
  friend bool operator==(const RelatedPlanFile&, const RelatedPlanFile&) = default;
};
struct PlanFile {
  std::string id;
  std::string name;
  std::uint64_t size = 0;
  std::string sha256;              // 64 hex digits
  std::string download_handler{};  // "": fetched as it is
  std::vector<RelatedPlanFile> related{};
  bool is_streamed = false;  // handlerProperties.streamedFile names it: not downloaded, its step asks for pieces
  friend bool operator==(const PlanFile&, const PlanFile&) = default;
};
struct PlanStep {
  std::uint32_t index = 0;
  std::string path;       // "step_0", "step_1/step_0", "step_1/component_0/step_0"
  std::string handler;    // "" when there is nothing to do
  std::string skip{};     // why there is nothing to do; "" else
  std::string subject{};  // the component as a person knows it, "left (m-1)"; "": the device itself
  std::vector<PlanFile> files{};
  json::Object handler_properties{};  // kept by the installer, not sent to the agent
  json::Object component{};           // empty: the device itself; likewise
  bool restores_update = false;       // handlerProperties.restoreScope is "update"
  friend bool operator==(const PlanStep&, const PlanStep&) = default;
};
struct Plan {
  json::Object update_id{};       // {"provider","name","version"}
  std::uint64_t copy_device = 0;  // st_dev of where the installer copies payloads to; 0: not told
  std::vector<PlanStep> steps{};
  friend bool operator==(const Plan&, const Plan&) = default;
};
enum class PlanDetail : std::uint8_t { for_the_agent, whole };
[[nodiscard]] json::Object to_json(const Plan& plan, PlanDetail detail);
[[nodiscard]] Result<Plan> parse_plan(const json::Object& message);

struct Progress {
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};
struct LogLine {
  LogLevel level = LogLevel::info;
  std::string line;
};
/// The final reply of open, act, cancel and close: also a refusal with a code for the report is an outcome.
struct ActOutcome {
  std::int32_t result_code = 0;
  std::vector<ExtendedCode> extended_codes{};
  std::string details{};
  std::optional<Plan> plan{};  // open only
  /// is_installed only: what this attempt's own install or apply of the step ended with, 700 if it began and was cut
  /// off or if the restart that it asked for has happened; 0: this attempt did nothing to the step.
  std::int32_t own_work = 0;
  std::optional<Pieces> wants{};  // install only, with result code 609
  bool recorded = false;          // act only: this is what an earlier run left in the journal, nothing ran now
  json::Object status{};          // status only
};
/// The other final reply: the request itself could not be taken (malformed, unknown workflow, not opened). Not a result
/// of an update.
struct Refusal {
  Code code = Code::internal;
  std::string message;
};
using Reply = std::variant<Progress, LogLine, ActOutcome, Refusal>;

/// Errors: bad_json, invalid_argument.
[[nodiscard]] Result<Reply> parse_reply(const json::Object& message);
[[nodiscard]] json::Object to_json(const Reply& reply);

}  // namespace godwit::installer
