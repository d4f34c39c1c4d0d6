#include "device/agent/workflow.hpp"

#include <map>

#include <fmt/format.h>

namespace godwit::agent {
namespace {

constexpr std::string_view kIntroduction = R"(# The workflow of the agent

This page is printed from the table in `src/device/agent/workflow.hpp` by `godwit-agent --print-workflow`; edit the table,
not the page (`./dev docs` writes it again).

One update on one device is one row after another of this table. An event meets the state that the journal holds; the row
names the next state and one effect. The agent first writes the next state into its journal (fsync), then carries out the
effect, so a cut of power between any two instructions leaves a state that answers `woke_up`. Every effect may be repeated:
downloads go on where the file ends, and the installer answers a finished act from its own journal instead of running it again.

`succeeded`, `failed` and `cancelled` are kept until the next goal. A start of the process in one of them queues the final
report once more; the service takes a repeated report as the same fact.

A goal that arrives during work becomes an event like this:

| the goal says | during work | otherwise |
|---|---|---|
| deploy, another workflow id | `replaced` | `offered` |
| deploy, same id, same retry stamp | only acknowledged | only acknowledged |
| deploy, same id, new retry stamp | `retry_asked` | `retry_asked` |
| cancel, same id | `cancel_asked` | only acknowledged |
| cancel, another id | `replaced` | `cancel_asked` |

After `replaced` and `retry_asked` the old run ends as if cancelled but without a report of its own (unless it succeeded
after all), and the newest goal is taken up at once.

Before the first change of an update, and before a restart of the device, the agent asks for leave where somebody has to be
asked (`consenting`, `reboot_pending`). A restart is noticed by the kernel's boot id, whoever did it; afterwards every step that was
done is asked whether it is in place (`confirming`). Where a step's `restoreScope` is `update`, a failure or a cancel goes back
through the steps that this run changed (`step_restored`).

)";

}  // namespace

std::string_view state_name(State state) {
  switch (state) {
    case State::idle: return "idle";
    case State::verifying: return "verifying";
    case State::downloading: return "downloading";
    case State::checking: return "checking";
    case State::consenting: return "consenting";
    case State::backing_up: return "backing_up";
    case State::installing: return "installing";
    case State::applying: return "applying";
    case State::reboot_pending: return "reboot_pending";
    case State::rebooting: return "rebooting";
    case State::restarting: return "restarting";
    case State::confirming: return "confirming";
    case State::restoring: return "restoring";
    case State::cancelling: return "cancelling";
    case State::stopping: return "stopping";
    case State::undoing: return "undoing";
    case State::succeeded: return "succeeded";
    case State::failed: return "failed";
    case State::cancelled: return "cancelled";
  }
  return "unknown";
}

std::string_view event_name(Event event) {
  switch (event) {
    case Event::offered: return "offered";
    case Event::passed: return "passed";
    case Event::failed: return "failed";
    case Event::in_place: return "in_place";
    case Event::not_in_place: return "not_in_place";
    case Event::step_done: return "step_done";
    case Event::all_done: return "all_done";
    case Event::consent_needed: return "consent_needed";
    case Event::reboot_due: return "reboot_due";
    case Event::restart_due: return "restart_due";
    case Event::step_restored: return "step_restored";
    case Event::failed_later: return "failed_later";
    case Event::undo_due: return "undo_due";
    case Event::cancel_asked: return "cancel_asked";
    case Event::retry_asked: return "retry_asked";
    case Event::replaced: return "replaced";
    case Event::woke_up: return "woke_up";
    case Event::rebooted: return "rebooted";
    case Event::installer_lost: return "installer_lost";
  }
  return "unknown";
}

std::string_view effect_name(Effect effect) {
  switch (effect) {
    case Effect::nothing: return "nothing";
    case Effect::verify: return "verify";
    case Effect::download: return "download";
    case Effect::check_step: return "check_step";
    case Effect::ask_consent: return "ask_consent";
    case Effect::back_up: return "back_up";
    case Effect::install: return "install";
    case Effect::apply: return "apply";
    case Effect::ask_reboot: return "ask_reboot";
    case Effect::reboot: return "reboot";
    case Effect::restart_agent: return "restart_agent";
    case Effect::confirm: return "confirm";
    case Effect::restore: return "restore";
    case Effect::stop: return "stop";
    case Effect::report: return "report";
  }
  return "unknown";
}

std::optional<State> parse_state(std::string_view name) {
  for (const State state : kStates)
    if (state_name(state) == name) return state;
  return std::nullopt;
}

std::string print_workflow() {
  std::string out{kIntroduction};
  out += "## The table\n\n| state | event | next state | effect |\n|---|---|---|---|\n";
  for (const Row& row : kRows)
    out += fmt::format("| {} | {} | {} | {} |\n", state_name(row.from), event_name(row.on), state_name(row.to),
                       effect_name(row.effect));

  out +=
      "\n## The drawing\n\nWithout the rows that stay where they are, and without `woke_up` and "
      "`installer_lost`.\n\n```mermaid\nstateDiagram-v2\n  [*] --> idle\n";
  std::map<std::pair<State, State>, std::string> arrows;
  for (const Row& row : kRows) {
    if (row.from == row.to || row.on == Event::woke_up || row.on == Event::installer_lost) continue;
    std::string& label = arrows[{row.from, row.to}];
    label += (label.empty() ? "" : ", ") + std::string(event_name(row.on));
  }
  for (const auto& [ends, label] : arrows)
    out += fmt::format("  {} --> {}: {}\n", state_name(ends.first), state_name(ends.second), label);
  return out + "```\n";
}

}  // namespace godwit::agent
