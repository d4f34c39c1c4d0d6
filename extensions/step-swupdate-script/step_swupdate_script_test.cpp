// The whole extension, as the installer calls it: the library in a worker process, real scripts.
#include <gtest/gtest.h>

#include "core/model/outcome.hpp"
#include "device/extension/process.hpp"
#include "device/extension/testing/test_extensions.hpp"

namespace godwit::step_swupdate_script {
namespace {

using extension::Outcome;
using extension::Type;

class StepSwupdateScript : public ::testing::Test {
 protected:
  Outcome run(const std::string& verb, const std::string& body) {
    const std::string script = "#!/bin/sh\necho \"$*\" >> " + (folder_ / "calls").string() +
                               "\nwhile [ $# -gt 0 ]; do [ \"$1\" = --result-file ] && result=$2; shift; done\n" + body;
    EXPECT_TRUE(write_file_durably(folder_ / "run.sh", script));
    const json::Object call{
        {"verb", verb},
        {"handler_id", "microsoft/swupdate:2"},
        {"handler_properties", properties_},
        {"installed_criteria", "v7"},
        {"work_dir", folder_.path().string()},
        {"files",
         json::Array{
             json::Object{{"id", "f1"}, {"name", "run.sh"}, {"path", (folder_ / "run.sh").string()}, {"size", 1}},
             json::Object{
                 {"id", "f2"}, {"name", "image.swu"}, {"path", (folder_ / "image.swu").string()}, {"size", 1}}}},
        {"workflow_id", "w-1"},
        {"update_id", json::Object{}},
        {"attempt", 1},
        {"step", 0}};
    const auto outcome = extension::run_extension(registration_, call, {}, {}, {});
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? *outcome : Outcome{};
  }

  extension::testing::TemporaryFolder folder_;
  extension::Registration registration_ =
      extension::testing::registration_of(extension::testing::library_folder() / "godwit-step-swupdate-script.so",
                                          Type::step_handler, "microsoft/swupdate:2");
  json::Object properties_{{"scriptFileName", "run.sh"}, {"swuFileName", "image.swu"}, {"apiVersion", "1.1"}};
};

TEST_F(StepSwupdateScript, the_script_gets_the_image) {
  EXPECT_EQ(run("install", "echo '{\"resultCode\":600}' > \"$result\"").result_code, 600);
  const std::string work = folder_.path().string();
  EXPECT_EQ(*read_file(folder_ / "calls", 10000),
            "--action install --work-folder " + work + " --result-file " + work +
                "/action_install_aduc_result.json --installed-criteria v7 --swu-file " + work + "/image.swu\n");
}

TEST_F(StepSwupdateScript, restore_is_the_verb_cancel) {
  EXPECT_EQ(run("backup", "exit 1").result_code, 1000);
  EXPECT_EQ(run("restore", "echo '{\"resultCode\":800}' > \"$result\"").result_code, 1100);
  EXPECT_EQ(run("restore", "echo '{\"resultCode\":801}' > \"$result\"").result_code, 1101);
  EXPECT_EQ(run("restore", "echo '{\"resultCode\":805}' > \"$result\"").result_code, 1105);
  const Outcome failed = run("restore", "exit 9");
  EXPECT_EQ(failed.result_code, 0);
  EXPECT_EQ(failed.extended_code, 0x30501009U);
  EXPECT_NE(read_file(folder_ / "calls", 10000)->find("--action cancel "), std::string::npos);
}

TEST_F(StepSwupdateScript, an_image_that_is_not_listed_is_refused) {
  properties_["swuFileName"] = "other.swu";
  EXPECT_EQ(run("install", "").extended_code, 0x30100001U);
  properties_.erase("swuFileName");
  EXPECT_EQ(run("install", "").extended_code, 0x30100001U);
}

}  // namespace
}  // namespace godwit::step_swupdate_script
