// The whole extension, as the installer calls it: the library in a worker process.
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "core/model/outcome.hpp"
#include "device/extension/process.hpp"
#include "device/extension/testing/test_extensions.hpp"

namespace godwit::step_simulator {
namespace {

using extension::Outcome;
using extension::Type;

const std::vector<std::pair<std::string, int>> kActs{{"is_installed", 900}, {"download", 500}, {"backup", 1000},
                                                     {"install", 600},      {"apply", 700},    {"restore", 1100}};

class StepSimulator : public ::testing::Test {
 protected:
  void data(const std::string& text) { ASSERT_TRUE(write_file_durably(folder_ / "data.json", text)); }

  json::Object call(const std::string& verb) const {
    return {{"verb", verb},
            {"handler_id", "microsoft/simulator:1"},
            {"handler_properties", json::Object{{"simulatorDataFile", data_path_}}},
            {"installed_criteria", "v7"},
            {"work_dir", folder_.path().string()},
            {"files", json::Array{json::Object{{"id", "f1"}, {"name", "a.bin"}, {"path", "/a.bin"}, {"size", 1}},
                                  json::Object{{"id", "f2"}, {"name", "b.bin"}, {"path", "/b.bin"}, {"size", 1}}}},
            {"workflow_id", "w-1"},
            {"update_id", json::Object{}},
            {"attempt", 1},
            {"step", 0}};
  }
  Outcome run(const std::string& verb, std::stop_token stop = {}) {
    const auto outcome = extension::run_extension(registration_, call(verb), {}, stop, {});
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? *outcome : Outcome{};
  }

  extension::testing::TemporaryFolder folder_;
  extension::Registration registration_ = extension::testing::registration_of(
      extension::testing::library_folder() / "godwit-step-simulator.so", Type::step_handler, "microsoft/simulator:1");
  std::string data_path_ = (folder_ / "data.json").string();
};

TEST_F(StepSimulator, without_a_file_every_act_succeeds) {
  for (const auto& [verb, code] : kActs) EXPECT_EQ(run(verb).result_code, code) << verb;
}

TEST_F(StepSimulator, each_act_fails_as_its_section_says) {
  for (const auto& [verb, code] : kActs) {
    const std::string section = verb == "is_installed" ? "isInstalled" : verb;
    data("{\"" + section + R"(":{"resultCode":0,"extendedResultCode":805306369,"resultDetails":"as told"}})");
    for (const auto& [other, other_code] : kActs) {
      const Outcome outcome = run(other);
      EXPECT_EQ(outcome.result_code, other == verb ? 0 : other_code) << section << " " << other;
      EXPECT_EQ(outcome.extended_code, other == verb ? 0x30000001U : 0U);
      EXPECT_EQ(outcome.details, other == verb ? "as told" : "");
    }
  }
}

TEST_F(StepSimulator, every_success_code_of_an_act_can_be_played) {
  const std::vector<std::pair<std::string, std::vector<int>>> codes{{"install", {600, 603, 605, 606, 607, 608}},
                                                                    {"apply", {700, 705, 706, 707, 708}},
                                                                    {"backup", {1000, 1001}},
                                                                    {"restore", {1100, 1101, 1105, 1106, 1107, 1108}},
                                                                    {"download", {500, 503}}};
  for (const auto& [verb, list] : codes)
    for (const int code : list) {
      data("{\"" + verb + "\":{\"resultCode\":" + std::to_string(code) + "}}");
      EXPECT_EQ(run(verb).result_code, code) << verb;
    }
}

TEST_F(StepSimulator, files_and_criteria_choose_the_answer) {
  data(R"({"download":{"b.bin":{"resultCode":0,"extendedResultCode":9},"*":{"resultCode":500}},
           "isInstalled":{"v7":{"resultCode":901,"resultDetails":"not v7"},"*":{"resultCode":900}}})");
  EXPECT_EQ(run("download").extended_code, 9U);
  EXPECT_EQ(run("is_installed").details, "not v7");
}

TEST_F(StepSimulator, a_data_file_that_is_still_to_be_downloaded_means_not_installed) {
  const auto with = [&](const std::string& path) {
    json::Object call_of = call("is_installed");
    call_of["files"] =
        json::Array{json::Object{{"id", "f1"}, {"name", "du-simulator-data.json"}, {"path", path}, {"size", 1}}};
    return extension::run_extension(registration_, call_of, {}, {}, {})->result_code;
  };
  EXPECT_EQ(with(""), 901);
  data("{}");
  EXPECT_EQ(with(data_path_), 900);
}

TEST_F(StepSimulator, a_file_that_cannot_be_read_is_a_failure_with_its_code) {
  data("{");
  EXPECT_EQ(run("install").extended_code, 0x30300001U);
  std::filesystem::remove(folder_ / "data.json");
  std::filesystem::create_symlink("/etc/hostname", folder_ / "data.json");
  EXPECT_EQ(run("install").extended_code, 0x30300001U);
  data_path_ = "relative.json";
  EXPECT_NE(run("install").details.find("absolute"), std::string::npos);
}

TEST_F(StepSimulator, a_cancel_ends_an_act_unless_the_data_say_that_it_cannot) {
  for (const int cancel : {800, 801}) {
    data("{\"install\":{\"resultCode\":600,\"delaySeconds\":" + std::string(cancel == 800 ? "600" : "2") +
         "},\"cancel\":{\"resultCode\":" + std::to_string(cancel) + ",\"resultDetails\":\"stopped\"}}");
    std::stop_source source;
    source.request_stop();
    const Outcome outcome = run("install", source.get_token());
    EXPECT_EQ(outcome.result_code, cancel == 800 ? -1 : 600);
    EXPECT_EQ(outcome.details, cancel == 800 ? "stopped" : "");
  }
}

}  // namespace
}  // namespace godwit::step_simulator
