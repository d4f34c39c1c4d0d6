// The life of one update on one device, as a table and a pure next(). What happens after a power cut, a lost installer
// or a cancel stands here and nowhere else; the page docs/explain/agent-workflow.md is printed from it.
// Values and constexpr functions; safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace godwit::agent {

enum class State : std::uint8_t {
  idle,
  verifying,
  downloading,
  checking,
  consenting,  // waits for leave to change the device: the hook, or the end of a pause
  backing_up,
  installing,
  applying,
  reboot_pending,  // a handler wants the device restarted; waits for leave
  rebooting,       // the restart of the device is under way
  restarting,      // the agent starts itself anew
  confirming,      // after a restart: is what was done still there?
  restoring,
  cancelling,  // asked to end; nothing on the device was changed by the current step
  stopping,    // asked to end while the handler changes the device; its outcome decides
  undoing,     // asked to end; the current step is being restored
  succeeded,
  failed,
  cancelled,
};
inline constexpr auto kStates =
    std::to_array<State>({State::idle, State::verifying, State::downloading, State::checking, State::consenting,
                          State::backing_up, State::installing, State::applying, State::reboot_pending,
                          State::rebooting, State::restarting, State::confirming, State::restoring, State::cancelling,
                          State::stopping, State::undoing, State::succeeded, State::failed, State::cancelled});

enum class Event : std::uint8_t {
  offered,         // a goal with another workflow id, and nothing is running
  passed,          // the effect did what it should
  failed,          // it did not; the result says why
  in_place,        // every step of the update is in place already
  not_in_place,    // the current step is not
  step_done,       // the current step is in place and more follow
  all_done,        // the last step is in place
  consent_needed,  // the current step is not in place, and somebody has to be asked before the device is changed
  reboot_due,      // the device has to be restarted before it goes on
  restart_due,     // the agent has to be
  step_restored,   // the current step is restored, and an earlier one is to be restored as well
  failed_later,    // it failed, and steps are to be restored: this one, begun in an earlier life, or those before it
  undo_due,        // asked to end, and steps are to be restored: this one, begun in an earlier life, or whole ones
  cancel_asked,    // the service does not want it any more
  retry_asked,     // the same workflow with a new retry stamp
  replaced,        // another workflow while this one runs
  woke_up,         // first event after every start of the process
  rebooted,        // the same, where a restart of the device was waited for and has happened
  installer_lost,  // the installer went away in the middle of an act
};

enum class Effect : std::uint8_t {
  nothing,
  verify,
  download,
  check_step,
  ask_consent,  // may the device be changed now?
  back_up,
  install,
  apply,
  ask_reboot,  // may it be restarted now?
  reboot,
  restart_agent,
  confirm,  // asks every step that was done whether it is in place
  restore,
  stop,    // asks what is running to end; where nothing runs, makes sure of it with the installer
  report,  // the final report, durably, and the sandbox is tidied
};

struct Row {
  State from;
  Event on;
  State to;
  Effect effect;
};

// clang-format off
inline constexpr auto kRows = std::to_array<Row>({
    // from               on                     to                  effect
    {State::idle,        Event::offered,        State::verifying,   Effect::verify},
    {State::idle,        Event::cancel_asked,   State::cancelled,   Effect::report},      // cancelled before this device heard of it
    {State::idle,        Event::woke_up,        State::idle,        Effect::nothing},

    {State::verifying,   Event::passed,         State::downloading, Effect::download},
    {State::verifying,   Event::failed,         State::failed,      Effect::report},
    {State::verifying,   Event::cancel_asked,   State::cancelling,  Effect::stop},
    {State::verifying,   Event::retry_asked,    State::cancelling,  Effect::stop},
    {State::verifying,   Event::replaced,       State::cancelling,  Effect::stop},
    {State::verifying,   Event::woke_up,        State::verifying,   Effect::verify},
    {State::verifying,   Event::installer_lost, State::verifying,   Effect::verify},

    {State::downloading, Event::passed,         State::checking,    Effect::check_step},
    {State::downloading, Event::in_place,       State::succeeded,   Effect::report},
    {State::downloading, Event::failed,         State::failed,      Effect::report},
    {State::downloading, Event::cancel_asked,   State::cancelling,  Effect::stop},
    {State::downloading, Event::retry_asked,    State::cancelling,  Effect::stop},
    {State::downloading, Event::replaced,       State::cancelling,  Effect::stop},
    {State::downloading, Event::woke_up,        State::downloading, Effect::download},    // resumes where the file ends
    {State::downloading, Event::installer_lost, State::downloading, Effect::download},

    {State::checking,    Event::not_in_place,   State::backing_up,  Effect::back_up},
    {State::checking,    Event::step_done,      State::checking,    Effect::check_step},
    {State::checking,    Event::all_done,       State::succeeded,   Effect::report},
    {State::checking,    Event::consent_needed, State::consenting,  Effect::ask_consent},
    {State::checking,    Event::failed_later,   State::restoring,   Effect::restore},
    {State::checking,    Event::reboot_due,     State::reboot_pending, Effect::ask_reboot},   // the rest is in place; an earlier step wanted it at the end
    {State::checking,    Event::restart_due,    State::restarting,  Effect::restart_agent},
    {State::checking,    Event::failed,         State::failed,      Effect::report},
    {State::checking,    Event::cancel_asked,   State::cancelling,  Effect::stop},
    {State::checking,    Event::retry_asked,    State::cancelling,  Effect::stop},
    {State::checking,    Event::replaced,       State::cancelling,  Effect::stop},
    {State::checking,    Event::woke_up,        State::checking,    Effect::check_step},
    {State::checking,    Event::installer_lost, State::checking,    Effect::check_step},

    {State::consenting,  Event::passed,         State::backing_up,  Effect::back_up},
    {State::consenting,  Event::failed,         State::failed,      Effect::report},      // the answer was no
    {State::consenting,  Event::failed_later,   State::restoring,   Effect::restore},
    {State::consenting,  Event::cancel_asked,   State::cancelling,  Effect::stop},
    {State::consenting,  Event::retry_asked,    State::cancelling,  Effect::stop},
    {State::consenting,  Event::replaced,       State::cancelling,  Effect::stop},
    {State::consenting,  Event::woke_up,        State::checking,    Effect::check_step},  // much may have changed meanwhile

    {State::backing_up,  Event::passed,         State::installing,  Effect::install},
    {State::backing_up,  Event::failed,         State::failed,      Effect::report},
    {State::backing_up,  Event::failed_later,   State::restoring,   Effect::restore},
    {State::backing_up,  Event::cancel_asked,   State::cancelling,  Effect::stop},
    {State::backing_up,  Event::retry_asked,    State::cancelling,  Effect::stop},
    {State::backing_up,  Event::replaced,       State::cancelling,  Effect::stop},
    {State::backing_up,  Event::woke_up,        State::checking,    Effect::check_step},
    {State::backing_up,  Event::installer_lost, State::checking,    Effect::check_step},

    {State::installing,  Event::passed,         State::applying,    Effect::apply},
    {State::installing,  Event::failed,         State::restoring,   Effect::restore},
    {State::installing,  Event::reboot_due,     State::reboot_pending, Effect::ask_reboot},
    {State::installing,  Event::restart_due,    State::restarting,  Effect::restart_agent},
    {State::installing,  Event::cancel_asked,   State::stopping,    Effect::stop},
    {State::installing,  Event::retry_asked,    State::stopping,    Effect::stop},
    {State::installing,  Event::replaced,       State::stopping,    Effect::stop},
    {State::installing,  Event::woke_up,        State::checking,    Effect::check_step},  // a finished act is not run again by the installer
    {State::installing,  Event::installer_lost, State::checking,    Effect::check_step},

    {State::applying,    Event::step_done,      State::checking,    Effect::check_step},
    {State::applying,    Event::all_done,       State::succeeded,   Effect::report},
    {State::applying,    Event::failed,         State::restoring,   Effect::restore},
    {State::applying,    Event::reboot_due,     State::reboot_pending, Effect::ask_reboot},
    {State::applying,    Event::restart_due,    State::restarting,  Effect::restart_agent},
    {State::applying,    Event::cancel_asked,   State::stopping,    Effect::stop},
    {State::applying,    Event::retry_asked,    State::stopping,    Effect::stop},
    {State::applying,    Event::replaced,       State::stopping,    Effect::stop},
    {State::applying,    Event::woke_up,        State::checking,    Effect::check_step},
    {State::applying,    Event::installer_lost, State::checking,    Effect::check_step},

    {State::reboot_pending, Event::passed,         State::rebooting,   Effect::reboot},
    {State::reboot_pending, Event::failed,         State::restoring,   Effect::restore},    // the answer was no
    {State::reboot_pending, Event::cancel_asked,   State::stopping,    Effect::stop},
    {State::reboot_pending, Event::retry_asked,    State::stopping,    Effect::stop},
    {State::reboot_pending, Event::replaced,       State::stopping,    Effect::stop},
    {State::reboot_pending, Event::rebooted,       State::confirming,  Effect::confirm},    // somebody else did it
    {State::reboot_pending, Event::woke_up,        State::reboot_pending, Effect::ask_reboot},

    {State::rebooting,   Event::rebooted,       State::confirming,  Effect::confirm},
    {State::rebooting,   Event::failed,         State::restoring,   Effect::restore},     // it did not restart
    {State::rebooting,   Event::cancel_asked,   State::stopping,    Effect::nothing},     // the restart comes first
    {State::rebooting,   Event::retry_asked,    State::stopping,    Effect::nothing},
    {State::rebooting,   Event::replaced,       State::stopping,    Effect::nothing},
    {State::rebooting,   Event::woke_up,        State::rebooting,   Effect::reboot},
    {State::rebooting,   Event::installer_lost, State::rebooting,   Effect::reboot},

    {State::restarting,  Event::woke_up,        State::confirming,  Effect::confirm},
    {State::restarting,  Event::cancel_asked,   State::stopping,    Effect::nothing},     // the restart comes first
    {State::restarting,  Event::retry_asked,    State::stopping,    Effect::nothing},
    {State::restarting,  Event::replaced,       State::stopping,    Effect::nothing},

    {State::confirming,  Event::step_done,      State::checking,    Effect::check_step},
    {State::confirming,  Event::all_done,       State::succeeded,   Effect::report},
    {State::confirming,  Event::reboot_due,     State::reboot_pending, Effect::ask_reboot},   // the agent was restarted, the device is to be
    {State::confirming,  Event::not_in_place,   State::applying,    Effect::apply},       // the restart came between install and apply
    {State::confirming,  Event::failed,         State::restoring,   Effect::restore},
    {State::confirming,  Event::cancel_asked,   State::stopping,    Effect::stop},
    {State::confirming,  Event::retry_asked,    State::stopping,    Effect::stop},
    {State::confirming,  Event::replaced,       State::stopping,    Effect::stop},
    {State::confirming,  Event::woke_up,        State::confirming,  Effect::confirm},
    {State::confirming,  Event::installer_lost, State::confirming,  Effect::confirm},

    {State::restoring,   Event::passed,         State::failed,      Effect::report},
    {State::restoring,   Event::failed,         State::failed,      Effect::report},      // both causes are in the details
    {State::restoring,   Event::step_restored,  State::restoring,   Effect::restore},
    {State::restoring,   Event::reboot_due,     State::restoring,   Effect::reboot},      // the old state comes with the restart
    {State::restoring,   Event::rebooted,       State::restoring,   Effect::restore},
    {State::restoring,   Event::cancel_asked,   State::restoring,   Effect::nothing},     // a restore is not left half way
    {State::restoring,   Event::retry_asked,    State::restoring,   Effect::nothing},
    {State::restoring,   Event::replaced,       State::restoring,   Effect::nothing},
    {State::restoring,   Event::woke_up,        State::restoring,   Effect::restore},
    {State::restoring,   Event::installer_lost, State::restoring,   Effect::restore},

    {State::cancelling,  Event::passed,         State::cancelled,   Effect::report},
    {State::cancelling,  Event::failed,         State::cancelled,   Effect::report},
    {State::cancelling,  Event::not_in_place,   State::cancelled,   Effect::report},
    {State::cancelling,  Event::step_done,      State::cancelled,   Effect::report},
    {State::cancelling,  Event::consent_needed, State::cancelled,   Effect::report},
    {State::cancelling,  Event::reboot_due,     State::cancelled,   Effect::report},      // an earlier step's wish: that step is whole
    {State::cancelling,  Event::restart_due,    State::cancelled,   Effect::report},
    {State::cancelling,  Event::in_place,       State::succeeded,   Effect::report},      // there was nothing left to cancel
    {State::cancelling,  Event::all_done,       State::succeeded,   Effect::report},
    {State::cancelling,  Event::undo_due,       State::undoing,     Effect::restore},
    {State::cancelling,  Event::cancel_asked,   State::cancelling,  Effect::nothing},
    {State::cancelling,  Event::retry_asked,    State::cancelling,  Effect::nothing},
    {State::cancelling,  Event::replaced,       State::cancelling,  Effect::nothing},
    {State::cancelling,  Event::woke_up,        State::cancelling,  Effect::stop},
    {State::cancelling,  Event::installer_lost, State::cancelling,  Effect::stop},

    {State::stopping,    Event::passed,         State::undoing,     Effect::restore},     // installed, not applied
    {State::stopping,    Event::failed,         State::undoing,     Effect::restore},
    {State::stopping,    Event::not_in_place,   State::undoing,     Effect::restore},
    {State::stopping,    Event::step_done,      State::cancelled,   Effect::report},      // this step is whole, the rest is left out
    {State::stopping,    Event::all_done,       State::succeeded,   Effect::report},
    {State::stopping,    Event::undo_due,       State::undoing,     Effect::restore},
    {State::stopping,    Event::reboot_due,     State::undoing,     Effect::restore},     // instead of the restart
    {State::stopping,    Event::restart_due,    State::undoing,     Effect::restore},
    {State::stopping,    Event::cancel_asked,   State::stopping,    Effect::nothing},
    {State::stopping,    Event::retry_asked,    State::stopping,    Effect::nothing},
    {State::stopping,    Event::replaced,       State::stopping,    Effect::nothing},
    {State::stopping,    Event::woke_up,        State::stopping,    Effect::check_step},
    {State::stopping,    Event::rebooted,       State::stopping,    Effect::check_step},
    {State::stopping,    Event::installer_lost, State::stopping,    Effect::check_step},

    {State::undoing,     Event::passed,         State::cancelled,   Effect::report},
    {State::undoing,     Event::failed,         State::cancelled,   Effect::report},      // the details tell that the restore failed
    {State::undoing,     Event::step_restored,  State::undoing,     Effect::restore},
    {State::undoing,     Event::reboot_due,     State::undoing,     Effect::reboot},
    {State::undoing,     Event::rebooted,       State::undoing,     Effect::restore},
    {State::undoing,     Event::cancel_asked,   State::undoing,     Effect::nothing},
    {State::undoing,     Event::retry_asked,    State::undoing,     Effect::nothing},
    {State::undoing,     Event::replaced,       State::undoing,     Effect::nothing},
    {State::undoing,     Event::woke_up,        State::undoing,     Effect::restore},
    {State::undoing,     Event::installer_lost, State::undoing,     Effect::restore},

    {State::succeeded,   Event::offered,        State::verifying,   Effect::verify},
    {State::succeeded,   Event::retry_asked,    State::verifying,   Effect::verify},
    {State::succeeded,   Event::cancel_asked,   State::cancelled,   Effect::report},      // of a workflow that this device never began
    {State::succeeded,   Event::woke_up,        State::succeeded,   Effect::report},      // the report itself may have been lost

    {State::failed,      Event::offered,        State::verifying,   Effect::verify},
    {State::failed,      Event::retry_asked,    State::verifying,   Effect::verify},
    {State::failed,      Event::cancel_asked,   State::cancelled,   Effect::report},
    {State::failed,      Event::woke_up,        State::failed,      Effect::report},

    {State::cancelled,   Event::offered,        State::verifying,   Effect::verify},
    {State::cancelled,   Event::retry_asked,    State::verifying,   Effect::verify},
    {State::cancelled,   Event::cancel_asked,   State::cancelled,   Effect::report},
    {State::cancelled,   Event::woke_up,        State::cancelled,   Effect::report},
});
// clang-format on

/// The whole decision: no clock, no I/O, no memory. No row means: log it and stay.
[[nodiscard]] constexpr std::optional<Row> next(State from, Event on) {
  for (const Row& row : kRows)
    if (row.from == from && row.on == on) return row;
  return std::nullopt;
}

/// The work is over and reported; the next goal may come.
[[nodiscard]] constexpr bool is_final(State state) {
  return state == State::succeeded || state == State::failed || state == State::cancelled;
}
/// Something is going on that a start of the process has to take up again.
[[nodiscard]] constexpr bool is_working(State state) { return state != State::idle && !is_final(state); }
/// On the way to an end that the service asked for.
[[nodiscard]] constexpr bool is_ending(State state) {
  return state == State::cancelling || state == State::stopping || state == State::undoing;
}

namespace checks {

consteval bool no_row_is_written_twice() {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    for (std::size_t j = i + 1; j < kRows.size(); ++j)
      if (kRows[i].from == kRows[j].from && kRows[i].on == kRows[j].on) return false;
  return true;
}
consteval bool every_state_answers(Event on) {
  for (const State state : kStates)
    if (!next(state, on)) return false;
  return true;
}
consteval bool every_working_state_answers(Event on) {
  for (const State state : kStates)
    if (is_working(state) && !next(state, on)) return false;
  return true;
}
/// States in which the agent is only waiting for a person, a window or its own new start.
consteval bool is_waiting(State state) {
  return state == State::consenting || state == State::reboot_pending || state == State::restarting;
}
consteval bool every_state_with_acts_answers(Event on) {
  for (const State state : kStates)
    if (is_working(state) && !is_waiting(state) && !next(state, on)) return false;
  return true;
}
consteval bool every_working_state_but_restarting_answers(Event on) {
  for (const State state : kStates)
    if (is_working(state) && state != State::restarting && !next(state, on)) return false;
  return true;
}
consteval bool every_final_state_answers(Event on) {
  for (const State state : kStates)
    if (is_final(state) && !next(state, on)) return false;
  return true;
}
/// From `from` some chain of rows leads to a state that `wanted` accepts.
consteval bool leads_to(State from, bool (*wanted)(State)) {
  std::array<bool, kStates.size()> seen{};
  seen[static_cast<std::size_t>(from)] = true;
  for (std::size_t round = 0; round < kStates.size(); ++round)
    for (const Row& row : kRows)
      if (seen[static_cast<std::size_t>(row.from)]) seen[static_cast<std::size_t>(row.to)] = true;
  for (const State state : kStates)
    if (seen[static_cast<std::size_t>(state)] && wanted(state)) return true;
  return false;
}
consteval bool every_working_state_can_end() {
  for (const State state : kStates)
    if (is_working(state) && !leads_to(state, is_final)) return false;
  return true;
}
consteval bool waking_up_never_ends_work_by_itself() {
  for (const Row& row : kRows)
    if ((row.on == Event::woke_up || row.on == Event::rebooted) && is_working(row.from) != is_working(row.to))
      return false;
  return true;
}

}  // namespace checks

static_assert(checks::no_row_is_written_twice());
static_assert(checks::every_state_answers(Event::woke_up), "a power cut must never find a state without an answer");
static_assert(checks::every_working_state_but_restarting_answers(Event::failed), "every effect can fail");
static_assert(checks::every_state_with_acts_answers(Event::installer_lost), "the installer can go away at any time");
static_assert(checks::every_working_state_answers(Event::cancel_asked), "a cancel can come at any time");
static_assert(checks::every_working_state_answers(Event::retry_asked));
static_assert(checks::every_working_state_answers(Event::replaced));
static_assert(checks::every_final_state_answers(Event::offered),
              "a device must always be able to take the next update");
static_assert(checks::every_final_state_answers(Event::retry_asked));
static_assert(next(State::idle, Event::offered));
static_assert(checks::every_working_state_can_end());
static_assert(checks::waking_up_never_ends_work_by_itself());

[[nodiscard]] std::string_view state_name(State state);  // "backing_up"
[[nodiscard]] std::string_view event_name(Event event);
[[nodiscard]] std::string_view effect_name(Effect effect);
[[nodiscard]] std::optional<State> parse_state(std::string_view name);

/// The table as a Markdown page with a state diagram (Mermaid): docs/explain/agent-workflow.md.
[[nodiscard]] std::string print_workflow();

}  // namespace godwit::agent
