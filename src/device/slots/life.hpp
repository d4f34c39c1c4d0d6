// The life of an image on a device, as a table. There is no stage on disk that could disagree with the disk: the stage
// is derived from three facts (which side runs, what the boot loader keeps, what the sides are known to hold), so
// waking up after a power cut is nothing but looking again. Values and constexpr functions; safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "device/slots/boot_switch.hpp"
#include "device/slots/contents.hpp"
#include "device/slots/side.hpp"

namespace godwit::slots {

enum class Stage : std::uint8_t {
  open,       // the other side may be booted or counts as whole: it must not be written yet
  closed,     // the other side is not bootable, and nothing is claimed of it: it may be written
  written,    // this process has written it; nothing has been read back
  whole,      // read back and recorded; the boot loader does not know of it
  due,        // marked to be tried; never tried
  retrying,   // marked to be tried; tried without success, attempts are left
  fell_back,  // the boot loader or the health check gave it up
  on_trial,   // it runs, not confirmed
  healthy,    // it runs, and this process has found it healthy
  good,       // it runs and is what the boot loader falls back to
  blocked,    // the running side is on trial with something else: the other side is the only good one
};
inline constexpr auto kStages =
    std::to_array<Stage>({Stage::open, Stage::closed, Stage::written, Stage::whole, Stage::due, Stage::retrying,
                          Stage::fell_back, Stage::on_trial, Stage::healthy, Stage::good, Stage::blocked});

enum class Ask : std::uint8_t { install, apply, restore };
inline constexpr auto kAsks = std::to_array<Ask>({Ask::install, Ask::apply, Ask::restore});

enum class Act : std::uint8_t {
  close,         // remove the other side from the boot loader's choice, then what is claimed of it
  write,         // stream the image onto the other side
  read_back,     // read it from the medium and record that it is whole
  mark_try,      // let the boot loader try it
  check_health,  // of the running side
  confirm,       // make the running side the good one
  give_back,     // end the trial of the running side: the next boot is the other one

  // answers
  done,
  restart,
  say_not_there,  // failures, each with its sentence
  say_not_tried,
  say_fell_back,
  say_blocked,
};
[[nodiscard]] constexpr bool is_answer(Act act) { return act >= Act::done; }

struct Row {
  Ask ask;
  Stage at;
  Act act;
};

// clang-format off
inline constexpr auto kRows = std::to_array<Row>({
    {Ask::install, Stage::open,      Act::close},
    {Ask::install, Stage::closed,    Act::write},
    {Ask::install, Stage::written,   Act::read_back},
    {Ask::install, Stage::whole,     Act::mark_try},
    {Ask::install, Stage::due,       Act::restart},
    {Ask::install, Stage::retrying,  Act::restart},
    {Ask::install, Stage::fell_back, Act::close},        // an operator's retry begins anew
    {Ask::install, Stage::on_trial,  Act::done},         // the restart has happened already
    {Ask::install, Stage::healthy,   Act::done},
    {Ask::install, Stage::good,      Act::done},
    {Ask::install, Stage::blocked,   Act::say_blocked},

    {Ask::apply,   Stage::open,      Act::say_not_there},
    {Ask::apply,   Stage::closed,    Act::say_not_there},
    {Ask::apply,   Stage::written,   Act::say_not_there},
    {Ask::apply,   Stage::whole,     Act::say_not_there},
    {Ask::apply,   Stage::due,       Act::say_not_tried},
    {Ask::apply,   Stage::retrying,  Act::say_fell_back},  // this side came up although attempts are left
    {Ask::apply,   Stage::fell_back, Act::say_fell_back},
    {Ask::apply,   Stage::on_trial,  Act::check_health},
    {Ask::apply,   Stage::healthy,   Act::confirm},
    {Ask::apply,   Stage::good,      Act::done},
    {Ask::apply,   Stage::blocked,   Act::say_blocked},

    {Ask::restore, Stage::open,      Act::done},         // nothing of this step is left to take back
    {Ask::restore, Stage::closed,    Act::done},
    {Ask::restore, Stage::written,   Act::done},
    {Ask::restore, Stage::whole,     Act::done},
    {Ask::restore, Stage::due,       Act::close},
    {Ask::restore, Stage::retrying,  Act::close},
    {Ask::restore, Stage::fell_back, Act::done},
    {Ask::restore, Stage::on_trial,  Act::give_back},
    {Ask::restore, Stage::healthy,   Act::give_back},
    {Ask::restore, Stage::good,      Act::done},         // confirmed is confirmed: going back is another update
    {Ask::restore, Stage::blocked,   Act::say_blocked},
});
// clang-format on

/// What to do next. Every pair has exactly one row.
[[nodiscard]] constexpr Act next(Ask ask, Stage at) {
  for (const Row& row : kRows)
    if (row.ask == ask && row.at == at) return row.act;
  return Act::say_not_there;
}

struct Facts {
  Side running = Side::a;  // what was really booted
  BootState boot;
  Contents contents;
  friend bool operator==(const Facts&, const Facts&) = default;
};

/// Where `image` stands. Never gives `written` or `healthy`: these only the running process knows.
[[nodiscard]] Stage stage_of(const Facts& facts, const Image& image);

[[nodiscard]] std::string_view stage_name(Stage stage);
[[nodiscard]] std::string_view act_name(Act act);

namespace detail {
constexpr bool every_pair_has_one_row() {
  for (const Ask ask : kAsks)
    for (const Stage stage : kStages) {
      int rows = 0;
      for (const Row& row : kRows) rows += row.ask == ask && row.at == stage ? 1 : 0;
      if (rows != 1) return false;
    }
  return kRows.size() == kAsks.size() * kStages.size();
}
/// The other side is written in one stage only, and there it can neither be booted nor is anything claimed of it.
constexpr bool only_a_closed_side_is_written() {
  for (const Row& row : kRows)
    if (row.act == Act::write && row.at != Stage::closed) return false;
  return true;
}
constexpr bool only_a_whole_side_is_tried_and_a_healthy_one_confirmed() {
  for (const Row& row : kRows) {
    if (row.act == Act::mark_try && row.at != Stage::whole) return false;
    if (row.act == Act::confirm && row.at != Stage::healthy) return false;
  }
  return true;
}
static_assert(every_pair_has_one_row(), "the table must answer every question once");
static_assert(only_a_closed_side_is_written());
static_assert(only_a_whole_side_is_tried_and_a_healthy_one_confirmed());
}  // namespace detail

}  // namespace godwit::slots
