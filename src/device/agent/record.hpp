// What the agent knows of its one update: the record that the journal holds, how a row of the table changes it, and
// what a new goal means for it. Pure values and functions; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/model/outcome.hpp"
#include "core/model/update_id.hpp"
#include "core/twin/dialect.hpp"
#include "device/agent/workflow.hpp"

namespace godwit::agent {

/// What a download handler may make a file from, as the manifest names it.
struct RelatedFile {
  std::string id;
  std::string name;
  ByteCount size = 0;
  Bytes sha256{};             // 32 raw bytes
  json::Object properties{};  // strings
  friend bool operator==(const RelatedFile&, const RelatedFile&) = default;
};

struct PlannedFile {
  std::string id;
  std::string name;
  ByteCount size = 0;
  Bytes sha256{};                  // 32 raw bytes
  std::string download_handler{};  // "": fetched as it is
  std::vector<RelatedFile> related{};
  bool is_streamed = false;  // not downloaded: its step asks for pieces of it
  friend bool operator==(const PlannedFile&, const PlannedFile&) = default;
};

/// One leaf step of the installer's plan, with what became of it.
struct PlannedStep {
  std::string path;  // "step_0", "step_1/step_0", "step_1/component_0/step_0"
  std::string handler;
  std::string skip{};     // why there is nothing to do; "" else
  std::string subject{};  // the component that it is for, "left (m-1)"; "": the device itself
  std::vector<PlannedFile> files{};
  std::optional<StepResult> result{};
  bool restores_update = false;  // its manifest asks: once anything fails, every step that this run changed is restored
  friend bool operator==(const PlannedStep&, const PlannedStep&) = default;
};

/// A workflow that another one followed. Should it come back, its attempts go on counting, so that the installer's
/// notes of then (finished, cancelled) do not answer for now.
struct PastWorkflow {
  std::string workflow_id;
  std::uint32_t attempt = 1;
  friend bool operator==(const PastWorkflow&, const PastWorkflow&) = default;
};

struct Record {
  State state = State::idle;
  std::optional<twin::DesiredUpdate> goal{};       // what is worked on or was last; absent only when idle
  std::uint32_t attempt = 0;                       // 1 at first; counts retry stamps of this workflow
  std::optional<UpdateId> target{};                // from the verified manifest
  std::vector<PlannedStep> steps{};                // the installer's plan
  std::uint32_t step = 0;                          // the current one
  std::optional<InstallResult> outcome{};          // the cause, once something failed or ended
  std::optional<UpdateId> installed{};             // the last update that this agent saw completely in place
  std::vector<PastWorkflow> past{};                // newest last, at most kPastLimit
  bool is_superseded = false;                      // a newer goal waits: end without a report
  std::uint32_t wakes = 0;                         // starts of the process since the last headway
  std::uint32_t losses = 0;                        // lost installers since the last headway
  std::uint64_t reached_bytes = 0;                 // how far the work of this state was at its last headway
  bool is_local_cancel = false;                    // somebody on the device asked for the end
  bool has_consent = false;                        // to change the device
  RestartWish restart_at_end = RestartWish::none;  // what steps want once all are done
  bool has_begun = false;                          // to change what the current step is for, in an earlier life or act
  bool is_before_apply = false;                    // the restart stands between install and apply of the current step
  bool was_rebooted = false;                       // for the restore of the current step
  std::uint64_t copy_device = 0;                   // st_dev of the installer's folder, which gets a second copy
  std::vector<ExtendedCode> soft_codes{};          // what went wrong without harm, e.g. a delta that did not fit
  std::string boot{};                              // the kernel's boot id when the restart became due; "" if none is
  friend bool operator==(const Record&, const Record&) = default;
};

inline constexpr std::uint32_t kWakeLimit = 20;  // then the update fails instead of coming back for ever
inline constexpr std::uint32_t kLossLimit = 5;
inline constexpr std::size_t kPastLimit = 16;

/// How an effect ended.
struct EffectResult {
  Event event = Event::failed;
  std::int32_t result_code = 0;
  std::vector<ExtendedCode> extended_codes{};
  std::string details{};
  std::optional<UpdateId> target{};  // verify, passed
  std::vector<PlannedStep> steps{};  // verify: the plan; download: the same steps, those in place marked
  std::uint64_t copy_device = 0;     // verify: as the plan tells
};

/// One event with what came along.
struct Incident {
  Event event = Event::woke_up;
  std::optional<EffectResult> result{};       // of the effect that ended
  std::optional<twin::DesiredUpdate> goal{};  // offered, retry_asked, cancel_asked, replaced
  std::string boot{};                         // the kernel's id of the present boot
};

/// The event that the table knows for what happened, where the current step has begun already, or the plan asks that a
/// failure or a cancel undoes the steps before it as well.
[[nodiscard]] Event refine(const Record& record, Event event);

/// The newest step before the current one that this run changed; nullopt: none, or the plan does not ask for it.
[[nodiscard]] std::optional<std::uint32_t> step_to_restore(const Record& record);

/// What follows when the current step has ended with `result_code`: a restart that it wants at once, the next step, or
/// the end, and with the end what earlier steps wanted done then.
[[nodiscard]] Event event_of_step_end(const Record& record, std::int32_t result_code);

/// After a start of the process: rebooted where a restart of the device was waited for and has happened, else woke_up.
[[nodiscard]] Event wake_event(const Record& record, std::string_view boot);

/// The record after `row` was taken because of `incident`. Does not write anything.
[[nodiscard]] Record advance(const Record& record, const Row& row, const Incident& incident);

/// The record after so much of the present work was done, where that is headway: a sixteenth of it further than ever
/// before, after a start or a lost installer. Else nothing: there is nothing to write down.
[[nodiscard]] std::optional<Record> after_headway(const Record& record, std::uint64_t done, std::uint64_t total);

/// What a goal from the twin means; nullopt: only an acknowledgement is due.
[[nodiscard]] std::optional<Event> judge(const Record& record, const twin::DesiredUpdate& goal);

/// The record with what `goal`, the same one again, says anew about the way to it: links, signature, root keys.
/// nullopt: nothing new, or another goal.
[[nodiscard]] std::optional<Record> with_new_means(const Record& record, const twin::DesiredUpdate& goal);

/// The step results by top-level step, as the service numbers them: the worst leaf of each, in order.
[[nodiscard]] std::vector<StepResult> top_level_results(const Record& record);

/// State 6, sent when work begins; and the final report (idle or failed) of a final state.
[[nodiscard]] twin::AgentReport report_of_start(const Record& record);
[[nodiscard]] twin::AgentReport report_of_end(const Record& record);

/// "step 2 (microsoft/script:1)", or "step 2.1 (microsoft/script:1) for left (m-1)" for the first step of a referenced
/// update and one of its components; numbers count from 1.
[[nodiscard]] std::string step_label(const PlannedStep& step);
/// The label of the current step, or "" when there is no plan yet.
[[nodiscard]] std::string name_of_step(const Record& record);

}  // namespace godwit::agent
