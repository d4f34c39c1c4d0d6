// Goal: the table read as data. Each row of kCases is a story: events in order, and the states and effects they must
// give.
#include "device/agent/workflow.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace godwit::agent {
namespace {

using E = Event;
using S = State;
using D = Effect;

struct Move {
  Event on;
  State to;
  Effect effect;
};
struct Case {
  const char* name;
  State from;
  std::vector<Move> moves;
};

const std::vector<Case> kCases{
    {"one step, everything goes well",
     S::idle,
     {{E::offered, S::verifying, D::verify},
      {E::passed, S::downloading, D::download},
      {E::passed, S::checking, D::check_step},
      {E::not_in_place, S::backing_up, D::back_up},
      {E::passed, S::installing, D::install},
      {E::passed, S::applying, D::apply},
      {E::all_done, S::succeeded, D::report}}},
    {"two steps, the first is in place",
     S::downloading,
     {{E::passed, S::checking, D::check_step},
      {E::step_done, S::checking, D::check_step},
      {E::not_in_place, S::backing_up, D::back_up},
      {E::passed, S::installing, D::install},
      {E::passed, S::applying, D::apply},
      {E::all_done, S::succeeded, D::report}}},
    {"the whole update is in place", S::downloading, {{E::in_place, S::succeeded, D::report}}},
    {"an install that fails is restored, then reported",
     S::installing,
     {{E::failed, S::restoring, D::restore}, {E::passed, S::failed, D::report}}},
    {"an apply that fails is restored even if the restore fails",
     S::applying,
     {{E::failed, S::restoring, D::restore}, {E::failed, S::failed, D::report}}},
    {"a download that fails changes nothing", S::downloading, {{E::failed, S::failed, D::report}}},
    {"a refused signature is a reported failure", S::verifying, {{E::failed, S::failed, D::report}}},
    {"cancel before the device is changed",
     S::downloading,
     {{E::cancel_asked, S::cancelling, D::stop}, {E::failed, S::cancelled, D::report}}},
    {"cancel in the middle of an install restores the step",
     S::installing,
     {{E::cancel_asked, S::stopping, D::stop},
      {E::failed, S::undoing, D::restore},
      {E::passed, S::cancelled, D::report}}},
    {"cancel that comes too late is a success",
     S::applying,
     {{E::cancel_asked, S::stopping, D::stop}, {E::all_done, S::succeeded, D::report}}},
    {"cancel between two steps keeps the first",
     S::applying,
     {{E::cancel_asked, S::stopping, D::stop}, {E::step_done, S::cancelled, D::report}}},
    {"a second cancel changes nothing",
     S::cancelling,
     {{E::cancel_asked, S::cancelling, D::nothing}, {E::passed, S::cancelled, D::report}}},
    {"a cancel of something unknown is answered", S::idle, {{E::cancel_asked, S::cancelled, D::report}}},
    {"replaced while running ends the old and takes the new",
     S::backing_up,
     {{E::replaced, S::cancelling, D::stop},
      {E::failed, S::cancelled, D::report},
      {E::offered, S::verifying, D::verify}}},
    {"retry after a failure starts over", S::failed, {{E::retry_asked, S::verifying, D::verify}}},
    {"power cut in an install asks first what is there",
     S::installing,
     {{E::woke_up, S::checking, D::check_step}, {E::step_done, S::checking, D::check_step}}},
    {"power cut in a cancelled install asks first, too",
     S::stopping,
     {{E::woke_up, S::stopping, D::check_step}, {E::not_in_place, S::undoing, D::restore}}},
    {"power cut in a restore restores again",
     S::restoring,
     {{E::woke_up, S::restoring, D::restore}, {E::passed, S::failed, D::report}}},
    {"power cut after the end reports again", S::succeeded, {{E::woke_up, S::succeeded, D::report}}},
    {"leave is given",
     S::checking,
     {{E::consent_needed, S::consenting, D::ask_consent}, {E::passed, S::backing_up, D::back_up}}},
    {"leave is refused", S::consenting, {{E::failed, S::failed, D::report}}},
    {"an apply that wants the device restarted",
     S::applying,
     {{E::reboot_due, S::reboot_pending, D::ask_reboot},
      {E::passed, S::rebooting, D::reboot},
      {E::rebooted, S::confirming, D::confirm},
      {E::step_done, S::checking, D::check_step}}},
    {"an install that wants the device restarted goes on with its apply",
     S::installing,
     {{E::reboot_due, S::reboot_pending, D::ask_reboot},
      {E::passed, S::rebooting, D::reboot},
      {E::rebooted, S::confirming, D::confirm},
      {E::not_in_place, S::applying, D::apply}}},
    {"what did not survive the restart is restored",
     S::confirming,
     {{E::failed, S::restoring, D::restore}, {E::passed, S::failed, D::report}}},
    {"an agent that was replaced goes on as the new one",
     S::applying,
     {{E::restart_due, S::restarting, D::restart_agent},
      {E::woke_up, S::confirming, D::confirm},
      {E::all_done, S::succeeded, D::report}}},
    {"a failure later on restores the steps before it, where the update asks for it",
     S::checking,
     {{E::failed_later, S::restoring, D::restore},
      {E::step_restored, S::restoring, D::restore},
      {E::passed, S::failed, D::report}}},
    {"a cancel waits for the restart that is under way",
     S::rebooting,
     {{E::cancel_asked, S::stopping, D::nothing},
      {E::rebooted, S::stopping, D::check_step},
      {E::all_done, S::succeeded, D::report}}},
    {"the installer goes away in an apply",
     S::applying,
     {{E::installer_lost, S::checking, D::check_step}, {E::all_done, S::succeeded, D::report}}},
};

TEST(Workflow, tells_these_stories) {
  for (const auto& story : kCases) {
    State state = story.from;
    for (const auto& move : story.moves) {
      const auto row = next(state, move.on);
      ASSERT_TRUE(row) << story.name << ": " << state_name(state) << " has no answer to " << event_name(move.on);
      EXPECT_EQ(state_name(row->to), state_name(move.to)) << story.name;
      EXPECT_EQ(effect_name(row->effect), effect_name(move.effect)) << story.name;
      state = row->to;
    }
  }
}

TEST(Workflow, a_device_is_changed_only_after_a_backup) {
  for (const Row& row : kRows) {
    if (row.effect == D::install) {
      EXPECT_EQ(row.from, S::backing_up);
    }
    if (row.effect == D::apply) {
      EXPECT_TRUE(row.from == S::installing || row.from == S::confirming);
    }
    if (row.effect == D::back_up) {
      EXPECT_TRUE(row.from == S::checking || row.from == S::consenting);
    }
  }
}

TEST(Workflow, every_way_into_an_end_reports) {
  for (const Row& row : kRows)
    if (is_final(row.to)) {
      EXPECT_EQ(row.effect, D::report) << state_name(row.from) << " on " << event_name(row.on);
    }
}

TEST(Workflow, names_are_distinct_and_read_back) {
  std::set<std::string_view> names;
  for (const State state : kStates) {
    EXPECT_TRUE(names.insert(state_name(state)).second);
    EXPECT_EQ(parse_state(state_name(state)), state);
  }
  EXPECT_FALSE(parse_state("unknown"));
}

TEST(Workflow, the_page_has_every_row) {
  const std::string page = print_workflow();
  for (const Row& row : kRows) {
    const std::string line = "| " + std::string(state_name(row.from)) + " | " + std::string(event_name(row.on)) +
                             " | " + std::string(state_name(row.to)) + " | " + std::string(effect_name(row.effect)) +
                             " |\n";
    EXPECT_NE(page.find(line), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace godwit::agent
