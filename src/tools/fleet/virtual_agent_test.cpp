// Goal: a virtual device goes the agent's way, says what the agent would say, and does the same again with the same
// seed. Method: a desired document in, every patch answered with 204, a clock that jumps to the next deadline.
#include "tools/fleet/virtual_agent.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace godwit::fleet {
namespace {

constexpr const char* kManifest =
    R"({"manifestVersion":"5","updateId":{"provider":"Contoso","name":"Boiler","version":"2.0"},)"
    R"("compatibility":[{"manufacturer":"Contoso","model":"Boiler"}],"instructions":{"steps":[)"
    R"({"handler":"microsoft/script:1","files":["f0a1b2c3d4e5f6071"],"handlerProperties":{"installedCriteria":"2.0"}},)"
    R"({"handler":"microsoft/script:1","files":["f0a1b2c3d4e5f6071"],"handlerProperties":{"installedCriteria":"2.1"}}]},)"
    R"("files":{"f0a1b2c3d4e5f6071":{"fileName":"run.sh","sizeInBytes":3,)"
    R"("hashes":{"sha256":"mcB5SexMU4JOOzqmlJqKbue9qMskWY3EI/iVjJxCtAs="}}},"createdDateTime":"2026-01-01T00:00:00Z"})";

Scenario make_scenario(const std::string& more, std::size_t count = 40) {
  auto scenario = parse_scenario(
      fmt::format(
          "seed = 3\n[[class]]\nname = \"boiler\"\ncount = {}\nmanufacturer = \"Contoso\"\nmodel = \"Boiler\"\n{}",
          count, more),
      "rig.toml");
  EXPECT_TRUE(scenario) << scenario.error().message;
  return *std::move(scenario);
}

agent::SessionDesired offer(const std::string& workflow, int action = 3, const std::string& retry = "") {
  json::Object work{{"action", action}, {"id", workflow}};
  if (!retry.empty()) work["retryTimestamp"] = retry;
  return {.desired =
              json::Object{{"deviceUpdate", json::Object{{"__t", "c"},
                                                         {"service", json::Object{{"workflow", std::move(work)},
                                                                                  {"rootKeyPackageUrl", "http://x/r"},
                                                                                  {"updateManifest", kManifest},
                                                                                  {"updateManifestSignature", "a.b.c"},
                                                                                  {"fileUrls", json::Object{}}}}}}},
          .version = 1};
}

/// One device with its hub, which takes everything.
struct Bench {
  Stagehand shared;
  VirtualAgent agent;
  Duration now{0};
  std::vector<std::string> patches{};
  std::vector<Finished> ends{};
  std::uint32_t absences = 0;

  explicit Bench(const Scenario& scenario, std::size_t index = 0) : shared{.scenario = scenario}, agent(shared, index) {
    agent.on_online();
  }
  /// Until nothing is due within a day.
  void run() {
    for (int turns = 0; turns < 1000; ++turns) {
      agent.tick(now);
      if (const auto end = agent.take_finished()) ends.push_back(*end);
      if (const auto away = agent.take_absence()) {
        ++absences;
        const bool is_boot = agent.record().state != agent::State::restarting;
        agent.lose_power();
        now += *away;
        agent.wake(is_boot, now);
        agent.on_online();
        continue;
      }
      if (auto patch = agent.next_patch(now)) {
        patches.push_back(patch->json);
        agent.on_answer(patch->token, 204, now);
        continue;
      }
      const auto deadline = agent.deadline();
      if (!deadline) return;
      now = std::max(now, *deadline);
    }
    FAIL() << "it never comes to rest";
  }
};

bool says(const std::string& patch, std::string_view what) { return patch.find(what) != std::string::npos; }

TEST(VirtualAgent, ends_an_update_with_the_reports_of_the_agent) {
  const Scenario scenario = make_scenario("[class.delay]\ninstall = \"2s\"\n");
  Bench bench(scenario);
  bench.agent.on_desired(offer("w1"), bench.now);
  bench.run();
  ASSERT_EQ(bench.ends.size(), 1U);
  EXPECT_EQ(bench.ends[0].state, agent::State::succeeded);
  EXPECT_EQ(bench.ends[0].result_code, 700);
  EXPECT_EQ(bench.ends[0].took, Duration(4'000));  // two steps
  EXPECT_TRUE(says(bench.patches[0], R"("state":6)"));
  EXPECT_TRUE(says(bench.patches[1], R"("ac":200)"));
  const auto last = std::ranges::find_if(bench.patches, [](const auto& patch) { return says(patch, R"("state":0)"); });
  ASSERT_NE(last, bench.patches.end());
  EXPECT_TRUE(says(*last, R"(\"version\":\"2.0\")"));
  EXPECT_TRUE(says(*last, "step_1"));
}

TEST(VirtualAgent, says_at_once_that_an_update_is_in_place) {
  const Scenario scenario = make_scenario("installed = \"Contoso/Boiler/2.0\"\n[class.delay]\ninstall = \"2s\"\n");
  Bench bench(scenario);
  bench.run();
  ASSERT_EQ(bench.patches.size(), 1U);  // what it has, unasked
  EXPECT_TRUE(says(bench.patches[0], R"(\"version\":\"2.0\")"));
  bench.agent.on_desired(offer("w1"), bench.now);
  bench.run();
  ASSERT_EQ(bench.ends.size(), 1U);
  EXPECT_EQ(bench.ends[0].state, agent::State::succeeded);
  EXPECT_EQ(bench.ends[0].took, Duration(0));
}

TEST(VirtualAgent, fails_where_the_scenario_says_and_a_retry_may_succeed) {
  const Scenario scenario = make_scenario(
      "[[class.failure]]\nphase = \"install\"\nshare = 1.0\nextended_code = \"30500205\"\nstep = 2\nattempts = 1\n");
  Bench bench(scenario);
  bench.agent.on_desired(offer("w1"), bench.now);
  bench.run();
  ASSERT_EQ(bench.ends.size(), 1U);
  EXPECT_EQ(bench.ends[0].state, agent::State::failed);
  EXPECT_EQ(bench.ends[0].extended_code, 0x30500205U);
  EXPECT_EQ(bench.agent.record().step, 1U);
  bench.agent.on_desired(offer("w1", 3, "2026-01-02T00:00:00Z"), bench.now);
  bench.run();
  ASSERT_EQ(bench.ends.size(), 2U);
  EXPECT_EQ(bench.ends[1].state, agent::State::succeeded);
  EXPECT_EQ(bench.agent.offers(), 1U);
}

TEST(VirtualAgent, goes_on_after_a_restart_that_an_update_wants) {
  for (const char* restart : {"phase = \"apply\"", "phase = \"install\"", "phase = \"apply\"\nresult_code = 706",
                              "phase = \"apply\"\nresult_code = 707"}) {
    const Scenario scenario = make_scenario(fmt::format("[[class.restart]]\n{}\nshare = 1.0\n", restart));
    Bench bench(scenario);
    bench.agent.on_desired(offer("w1"), bench.now);
    bench.run();
    ASSERT_EQ(bench.ends.size(), 1U) << restart;
    EXPECT_EQ(bench.ends[0].state, agent::State::succeeded) << restart;
    EXPECT_EQ(bench.absences, 1U) << restart;
  }
}

TEST(VirtualAgent, is_cancelled_while_it_works) {
  const Scenario scenario = make_scenario("[class.delay]\ndownload = \"1h\"\n");
  Bench bench(scenario);
  bench.agent.on_desired(offer("w1"), bench.now);
  bench.agent.tick(bench.now);
  bench.agent.on_desired(offer("w1", 255), bench.now);
  bench.run();
  ASSERT_EQ(bench.ends.size(), 1U);
  EXPECT_EQ(bench.ends[0].state, agent::State::cancelled);
  EXPECT_LT(bench.now, Duration(5'000));  // not an hour
}

TEST(VirtualAgent, takes_the_update_that_replaces_another) {
  const Scenario scenario = make_scenario("[class.delay]\ndownload = \"1m\"\n");
  Bench bench(scenario);
  bench.agent.on_desired(offer("w1"), bench.now);
  bench.agent.tick(bench.now);
  bench.agent.on_desired(offer("w2"), bench.now);
  bench.run();
  ASSERT_EQ(bench.ends.size(), 1U);
  EXPECT_EQ(bench.ends[0].state, agent::State::succeeded);
  EXPECT_EQ(bench.agent.record().goal->workflow_id, "w2");
  EXPECT_EQ(bench.agent.offers(), 2U);
}

TEST(VirtualAgent, keeps_its_report_until_the_hub_has_it) {
  const Scenario scenario = make_scenario("");
  Bench bench(scenario);
  bench.agent.on_offline();
  bench.agent.on_desired(offer("w1"), bench.now);
  bench.run();
  EXPECT_TRUE(bench.ends.empty());
  bench.agent.on_online();
  auto patch = bench.agent.next_patch(bench.now);
  ASSERT_TRUE(patch);
  bench.agent.on_answer(patch->token, 429, bench.now);
  EXPECT_FALSE(bench.agent.next_patch(bench.now));
  bench.run();
  ASSERT_EQ(bench.ends.size(), 1U);
  EXPECT_EQ(bench.agent.refusals(), 1U);
  EXPECT_GE(bench.now, Duration(5'000));
}

TEST(VirtualAgent, goes_on_after_the_power_came_back) {
  const Scenario scenario = make_scenario("[class.delay]\ninstall = \"10s\"\n");
  Bench bench(scenario);
  bench.agent.on_desired(offer("w1"), bench.now);
  bench.agent.tick(bench.now);
  ASSERT_EQ(bench.agent.record().state, agent::State::installing);
  bench.agent.lose_power();
  bench.agent.wake(true, bench.now);
  bench.agent.on_online();
  bench.run();
  ASSERT_EQ(bench.ends.size(), 1U);
  EXPECT_EQ(bench.ends[0].state, agent::State::succeeded);
}

TEST(VirtualAgent, takes_its_outcomes_from_the_simulators_data) {
  const auto outcome = [](const std::string& data) {
    Scenario scenario = make_scenario("");
    auto parsed = parse_simulator_data(data, "d");
    EXPECT_TRUE(parsed) << parsed.error().message;
    scenario.simulator = *std::move(parsed);
    Bench bench(scenario);
    bench.agent.on_desired(offer("w1"), bench.now);
    bench.run();
    return bench.ends.size() == 1
               ? fmt::format("{} {} {}", agent::state_name(bench.ends[0].state), bench.ends[0].result_code,
                             extended_code_hex(bench.ends[0].extended_code))
               : "none";
  };
  const std::string missing = R"("isInstalled":{"*":{"resultCode":901}})";
  EXPECT_EQ(outcome("{}"), "succeeded 700 00000000");  // all is in place
  EXPECT_EQ(outcome("{" + missing + "}"), "succeeded 700 00000000");
  EXPECT_EQ(outcome("{" + missing + R"(,"download":{"run.sh":{"resultCode":0,"extendedResultCode":11}}})"),
            "failed 0 0000000B");
  EXPECT_EQ(outcome("{" + missing + R"(,"apply":{"resultCode":0,"extendedResultCode":12}})"), "failed 0 0000000C");
  EXPECT_EQ(outcome("{" + missing + R"(,"backup":{"resultCode":-1,"extendedResultCode":13}})"), "failed -1 0000000D");
}

/// What became of all devices of a scenario, with the time each took.
std::vector<std::string> outcomes(const Scenario& scenario) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < scenario.devices(); ++i) {
    Bench bench(scenario, i);
    bench.agent.on_desired(offer("workflow-" + std::to_string(i)), bench.now);
    bench.run();
    for (const auto& end : bench.ends)
      all.push_back(fmt::format("{} {} {} {} {}", i, agent::state_name(end.state), end.result_code, end.extended_code,
                                end.took.count()));
  }
  return all;
}

TEST(VirtualAgent, does_the_same_again_with_the_same_seed) {
  Scenario scenario = make_scenario(
      "[class.delay]\ninstall = { median = \"10s\" }\n[[class.failure]]\nphase = \"apply\"\nshare = 0.25\n"
      "[[class.restart]]\nphase = \"apply\"\nshare = 0.5\n");
  const auto first = outcomes(scenario);
  EXPECT_EQ(first.size(), 40U);
  EXPECT_EQ(std::ranges::count_if(first, [](const auto& line) { return says(line, "failed"); }), 10);
  EXPECT_EQ(first, outcomes(scenario));
  scenario.seed = 4;
  EXPECT_NE(first, outcomes(scenario));
}

}  // namespace
}  // namespace godwit::fleet
