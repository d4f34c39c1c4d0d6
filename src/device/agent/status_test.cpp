// Goal: the words that a person on the device reads name the state, the reason and the next thing to do.
#include "device/agent/status.hpp"

#include <gtest/gtest.h>

namespace godwit::agent {
namespace {

Situation in(State state) {
  Situation now;
  now.record.state = state;
  now.record.goal = twin::DesiredUpdate{};
  now.record.goal->workflow_id = "w1";
  now.record.target = UpdateId::parse("Contoso", "Toaster", "1.2.0").value();
  now.record.outcome = InstallResult{0, {0x30501007}, "script ended with exit code 7", {}};
  now.link = LinkState{.hub = "hub.example", .is_online = true, .since = WallTime{}, .reason = ""};
  return now;
}

bool holds(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(Why, names_the_reason_and_the_next_thing_to_do) {
  EXPECT_TRUE(
      holds(why(in(State::failed)), "script ended with exit code 7. It is tried again when the service retries"));
  EXPECT_TRUE(holds(why(in(State::succeeded)), "Contoso/Toaster/1.2.0 is installed"));
  EXPECT_TRUE(holds(why(in(State::idle)), "No update was offered"));
  Situation waits = in(State::consenting);
  waits.waiting_for = "not before night";
  EXPECT_TRUE(holds(why(waits), "waiting for leave to change the device (not before night)"));
  Situation offline = in(State::succeeded);
  offline.link = LinkState{.hub = "hub.example", .is_online = false, .since = WallTime{}, .reason = "no route to host"};
  EXPECT_TRUE(holds(why(offline), "The hub hub.example is not reached: no route to host"));
  Situation paused = in(State::succeeded);
  paused.pause = Pause{.until = std::nullopt, .reason = "fair"};
  EXPECT_TRUE(holds(why(paused), "paused on this device (fair); go on with: godwit-agent resume"));
  Situation frozen = in(State::succeeded);  // faults: 3
  frozen.root_keys = "version 3 ended on 2026-01-01T00:00:00Z";
  EXPECT_TRUE(holds(why(frozen), "Updates are refused: the root key package version 3 ended on 2026-01-01"));
  EXPECT_TRUE(holds(status_text(frozen), "Root keys:        version 3 ended"));
  Situation dead = in(State::failed);
  dead.link.reset();
  EXPECT_TRUE(holds(why(dead), "The agent does not run"));
}

TEST(Status, every_state_has_words_and_json) {
  for (const State state : kStates) {
    const Situation now = in(state);
    EXPECT_FALSE(holds(status_text(now), "(unknown)")) << state_name(state);
    EXPECT_EQ(json::text_or_nothing(status_json(now), "state"), state_name(state));
    EXPECT_NE(json::text_or_nothing(status_json(now), "why"), "");
  }
}

}  // namespace
}  // namespace godwit::agent
