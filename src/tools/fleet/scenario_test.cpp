#include "tools/fleet/scenario.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tools/fleet/chance.hpp"

namespace godwit::fleet {
namespace {

constexpr std::string_view kWhole = R"(seed = 7
time_limit = "3m"
updates = 2

[[class]]
name = "boiler"
count = 100
manufacturer = "Contoso"
model = "Boiler"
properties = { site = "plant7" }
compatibility = ["manufacturer", "model", "site"]
tags = { ADUGroup = "boilers" }
installed = "Contoso/Boiler/1.0"
clock_skew = { min = "-90s", max = "90s" }
token_lifetime = "2h"

[class.delay]
download = { min = "1s", max = "3s" }
install = { median = "10s" }
apply = "2s"

[[class.failure]]
phase = "install"
share = 0.1
result_code = 0
extended_code = "30500205"
details = "no space"

[[class.failure]]
phase = "download"
count = 5
attempts = 1

[[class.restart]]
phase = "apply"
share = 0.3

[[class.group]]
share = 0.2
tags = { ADUGroup = "canaries" }

[class.disconnect]
every = { median = "1m" }
lasts = "5s"

[[class]]
name = "pump"
count = 20
manufacturer = "Contoso"
model = "Pump"
)";

std::string refusal(std::string_view toml) {
  const auto scenario = parse_scenario(toml, "rig.toml");
  return scenario ? "" : scenario.error().message;
}
/// A class with `more` in it, which begins on line 6.
std::string of_class(const std::string& more) {
  return refusal("[[class]]\nname = \"a\"\ncount = 10\nmanufacturer = \"m\"\nmodel = \"n\"\n" + more);
}

TEST(Scenario, is_read_whole) {
  const auto scenario = parse_scenario(kWhole, "rig.toml");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->seed, 7U);
  EXPECT_EQ(scenario->updates, 2U);
  EXPECT_EQ(scenario->devices(), 120U);
  const DeviceKind& boiler = scenario->kinds[0];
  EXPECT_EQ(boiler.properties.at("site"), "plant7");
  EXPECT_EQ(boiler.compat_property_names.size(), 3U);
  EXPECT_EQ(boiler.installed->str(), "Contoso/Boiler/1.0");
  EXPECT_EQ(boiler.clock_skew.min, Duration(-90'000));
  EXPECT_EQ(boiler.delays[static_cast<std::size_t>(Phase::download)].median, Duration(2'000));
  EXPECT_EQ(boiler.delays[static_cast<std::size_t>(Phase::install)].min, Duration(5'000));
  ASSERT_EQ(boiler.failures.size(), 2U);
  EXPECT_EQ(boiler.failures[0].devices, 10U);
  EXPECT_EQ(boiler.failures[0].result.extended_code, 0x30500205U);
  EXPECT_EQ(boiler.failures[1].attempts, 1U);
  EXPECT_EQ(boiler.restarts[0].result.result_code, 705);
  EXPECT_EQ(boiler.disconnect->lasts.max, Duration(5'000));
  EXPECT_EQ(device_name(place_of(*scenario, 103)), "pump-3");
}

TEST(Scenario, names_the_line_of_each_mistake) {
  EXPECT_EQ(of_class("modle = \"x\"\n"), "rig.toml:6: \"modle\" is not a known key here; did you mean \"model\"?");
  EXPECT_EQ(of_class("[class.delay]\ninstall = 5\n"),
            "rig.toml:7: install: expected a duration in quotes such as \"30s\"");
  EXPECT_EQ(of_class("[class.delay]\ninstall = { min = \"5s\" }\n"),
            "rig.toml:7: install: needs min and max, or median");
  EXPECT_EQ(of_class("[class.delay]\ninstall = { min = \"5s\", max = \"1s\" }\n"),
            "rig.toml:7: install: min, median and max must rise");
  EXPECT_EQ(
      of_class("[[class.failure]]\nphase = \"instal\"\nshare = 0.1\n"),
      "rig.toml:7: phase: expected one of \"verify\", \"download\", \"check\", \"backup\", \"install\", \"apply\", "
      "\"reboot\"");
  EXPECT_EQ(of_class("[[class.failure]]\nphase = \"install\"\n"),
            "rig.toml:6: needs either \"share\" (0 to 1) or \"count\" (devices)");
  EXPECT_EQ(of_class("[[class.failure]]\nphase = \"install\"\nshare = 1.5\n"),
            "rig.toml:8: share: expected a number from 0 to 1");
  EXPECT_EQ(of_class("[[class.failure]]\nphase = \"install\"\ncount = 3\nresult_code = 600\n"),
            "rig.toml:9: result_code: 600 is not within -2147483648 to 0");
  EXPECT_EQ(of_class("installed = \"Boiler 1.0\"\n"),
            "rig.toml:6: installed: expected \"provider/name/version\" such as \"Contoso/Boiler/1.0\"");
  EXPECT_EQ(of_class("compatibility = [\"site\"]\n"), "rig.toml:6: compatibility: 'site' is no property of this class");
  EXPECT_EQ(refusal("seed = 1\n"), "rig.toml:1: there is no [[class]], so there are no devices");
  EXPECT_EQ(refusal("seed = \n").substr(0, 11), "rig.toml:1:");
  EXPECT_EQ(refusal("[[class]]\nname = \"a\"\ncount = 1\nmanufacturer = \"m\"\n"),
            "rig.toml:1: \"model\" is missing here");
}

TEST(Scenario, has_limits) {
  EXPECT_NE(refusal(std::string(scenario_limits::kFile + 1, '#')), "");
  EXPECT_NE(refusal("[[class]]\nname = \"a\"\ncount = 1000001\nmanufacturer = \"m\"\nmodel = \"n\"\n"), "");
  EXPECT_EQ(
      of_class("[[class.failure]]\nphase = \"install\"\ncount = 6\n[[class.failure]]\nphase = \"apply\"\ncount = 5\n"),
      "rig.toml:11: count: wants 5 devices; of the 10 of this class 4 are left for it");
  EXPECT_EQ(of_class("token_lifetime = \"1s\"\n"), "rig.toml:6: token_lifetime: 1s is not within 1m to 30d");
  EXPECT_EQ(of_class("[class.disconnect]\nevery = \"1ms\"\n"), "rig.toml:7: every: 1ms is not within 100ms to 30d");
  std::string many;
  for (std::size_t i = 0; i <= scenario_limits::kRules; ++i)
    many += "[[class.failure]]\nphase = \"install\"\ncount = 0\n";
  EXPECT_EQ(of_class(many), "rig.toml:6: failure: there are more than 64 of them");
}

TEST(Scenario, gives_each_rule_exactly_its_devices) {
  const auto scenario = parse_scenario(kWhole, "rig.toml");
  ASSERT_TRUE(scenario);
  std::size_t in_install = 0;
  std::size_t in_download = 0;
  std::size_t canaries = 0;
  for (std::size_t i = 0; i < 100; ++i) {
    const Draw draw{.place = place_of(*scenario, i)};
    in_install += rule_for(*scenario, draw.place.kind->failures, draw, Phase::install, 0, 1) != nullptr ? 1 : 0;
    in_download += rule_for(*scenario, draw.place.kind->failures, draw, Phase::download, 0, 1) != nullptr ? 1 : 0;
    canaries += tags_of(*scenario, draw.place).at("ADUGroup") == "canaries" ? 1 : 0;
  }
  EXPECT_EQ(in_install, 10U);
  EXPECT_EQ(in_download, 5U);
  EXPECT_EQ(canaries, 20U);
}

TEST(Scenario, takes_other_devices_with_another_seed_or_update) {
  auto scenario = parse_scenario(kWhole, "rig.toml");
  ASSERT_TRUE(scenario);
  const auto failing = [&](std::uint32_t update) {
    std::set<std::size_t> found;
    for (std::size_t i = 0; i < 100; ++i) {
      const Draw draw{.place = place_of(*scenario, i), .update = update};
      if (rule_for(*scenario, draw.place.kind->failures, draw, Phase::install, 0, 1) != nullptr) found.insert(i);
    }
    return found;
  };
  const auto first = failing(1);
  EXPECT_EQ(first, failing(1));
  EXPECT_NE(first, failing(2));
  scenario->seed = 8;
  EXPECT_NE(first, failing(1));
}

TEST(Scenario, keeps_delays_within_their_spread_and_half_below_the_median) {
  const Spread spread{.min = Duration(100), .median = Duration(200), .max = Duration(1000)};
  EXPECT_EQ(spread.at(0), Duration(100));
  EXPECT_EQ(spread.at(0.5), Duration(200));
  EXPECT_LE(spread.at(0.999999), Duration(1000));
  int below = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) below += spread.at(unit(mix({i}))) < Duration(200) ? 1 : 0;
  EXPECT_NEAR(below, 500, 60);
}

TEST(Chance, shuffles_without_losing_anybody) {
  for (const std::uint64_t count : {1U, 2U, 3U, 10U, 100U, 1000U, 4097U}) {
    std::set<std::uint64_t> seen;
    for (std::uint64_t i = 0; i < count; ++i) seen.insert(shuffled(i, count, 42));
    EXPECT_EQ(seen.size(), count);
    EXPECT_LT(*seen.rbegin(), count);
  }
}

TEST(SimulatorData, is_read_as_the_original_handler_reads_it) {
  const auto data = parse_simulator_data(
      R"({"version":"1.0","download":{"a.bin":{"resultCode":0,"extendedResultCode":-805305851,"resultDetails":"cut"},)"
      R"("*":{"resultCode":500}},"install":{"resultCode":605},"isInstalled":{"1.2":{"resultCode":900},"*":{"resultCode":901}}})",
      "du-simulator-data.json");
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_EQ(data->download_of("a.bin"), (ActResult{0, 0xD0000205U, "cut"}));
  EXPECT_EQ(data->download_of("b.bin").result_code, 500);
  EXPECT_EQ(data->is_installed_of("1.2").result_code, 900);
  EXPECT_EQ(data->is_installed_of("1.3").result_code, 901);
  EXPECT_EQ(data->install->result_code, 605);
  EXPECT_FALSE(data->apply);
  EXPECT_EQ(SimulatorData{}.is_installed_of("x").result_code, 900);
}

TEST(SimulatorData, refuses_with_a_sentence) {
  const auto refused = [](std::string_view text) {
    const auto data = parse_simulator_data(text, "d.json");
    return data ? "" : data.error().message;
  };
  EXPECT_EQ(refused(R"({"install":7})"), "d.json: install is not an object with resultCode");
  EXPECT_EQ(refused(R"({"install":{"resultCode":99999999999}})"),
            "d.json: install: resultCode 99999999999 does not fit into 32 bits");
  EXPECT_NE(refused(R"({"download":[]})"), "");
  EXPECT_NE(refused("{"), "");
}

}  // namespace
}  // namespace godwit::fleet
