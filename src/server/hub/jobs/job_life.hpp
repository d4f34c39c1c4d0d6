// The life of a scheduled job: one table, one pure next(). `woke_up` is the first event of every open job after any
// start of the process, so what happens to a job that was cut off is in this table and nowhere else.
// Pure; safe from any thread.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "server/store/job_records.hpp"

namespace godwit::hub::jobs {

using State = store::JobState;

enum class Event : std::uint8_t {
  came_due,   // its start time has come
  got_turn,   // fewer jobs run than may
  ended_all,  // every selected device has an end
  ran_out,    // its time is over
  broke,      // its condition can no longer be evaluated
  was_cancelled,
  woke_up
};

enum class Do : std::uint8_t {
  nothing,
  work,      // select devices and go through them
  give_up,   // end what is left of its devices as failed
  call_off,  // end what is left of its devices as cancelled
  settle     // a method that was sent before the start of the process is not sent again
};

struct Row {
  State from;
  Event on;
  State to;
  Do effect;
};

inline constexpr auto kRows = std::to_array<Row>({
    // from            on                    to                effect
    {State::scheduled, Event::came_due, State::enqueued, Do::nothing},
    {State::scheduled, Event::was_cancelled, State::cancelled, Do::call_off},
    {State::scheduled, Event::woke_up, State::scheduled, Do::nothing},

    {State::enqueued, Event::got_turn, State::running, Do::work},
    {State::enqueued, Event::ran_out, State::failed, Do::give_up},
    {State::enqueued, Event::was_cancelled, State::cancelled, Do::call_off},
    {State::enqueued, Event::woke_up, State::enqueued, Do::nothing},

    {State::running, Event::ended_all, State::completed, Do::nothing},
    {State::running, Event::ran_out, State::failed, Do::give_up},
    {State::running, Event::broke, State::failed, Do::give_up},
    {State::running, Event::was_cancelled, State::cancelled, Do::call_off},
    {State::running, Event::woke_up, State::running, Do::settle},
});

/// nullopt: the event means nothing in this state.
[[nodiscard]] constexpr std::optional<Row> next(State state, Event event) {
  for (const Row& row : kRows)
    if (row.from == state && row.on == event) return row;
  return std::nullopt;
}

[[nodiscard]] constexpr bool has_ended(State state) {
  return state == State::completed || state == State::failed || state == State::cancelled;
}

namespace checks {
constexpr bool ends_are_final() {
  for (const Row& row : kRows)
    if (has_ended(row.from)) return false;
  return true;
}
constexpr bool open_states_can_be_cancelled_and_woken() {
  for (const State state : {State::scheduled, State::enqueued, State::running})
    if (!next(state, Event::was_cancelled) || !next(state, Event::woke_up)) return false;
  return true;
}
constexpr bool no_row_stands_twice() {
  for (std::size_t a = 0; a < kRows.size(); ++a)
    for (std::size_t b = a + 1; b < kRows.size(); ++b)
      if (kRows[a].from == kRows[b].from && kRows[a].on == kRows[b].on) return false;
  return true;
}
static_assert(ends_are_final());
static_assert(open_states_can_be_cancelled_and_woken());
static_assert(no_row_stands_twice());
}  // namespace checks

}  // namespace godwit::hub::jobs
