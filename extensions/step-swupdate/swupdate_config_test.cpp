#include "swupdate_config.hpp"

#include <gtest/gtest.h>

namespace godwit::step_swupdate {
namespace {

TEST(SwupdateConfig, a_whole_file_becomes_the_command_line) {
  const auto config = parse_swupdate_config(
      R"({"publicKeyFile":"/k.pem","configFile":"/etc/swupdate.cfg","hardwareRevision":"board:1.0","select":"stable,copy1",
          "versionFile":"/etc/version","applyCommand":["/bin/a","2"],"revertCommand":["/bin/a","1"],"rebootAfterApply":false})");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(swupdate_arguments(*config, "stable,copy2", "/w/a.swu"),
            (std::vector<std::string>{"-k", "/k.pem", "-f", "/etc/swupdate.cfg", "-H", "board:1.0", "-e",
                                      "stable,copy2", "-i", "/w/a.swu"}));
  EXPECT_EQ(config->apply_command, (std::vector<std::string>{"/bin/a", "2"}));
  EXPECT_FALSE(config->reboots);
}

TEST(SwupdateConfig, without_a_key_nothing_is_installed) {
  const auto config = parse_swupdate_config("{}");
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().message.find("publicKeyFile is missing"), std::string::npos);
}

TEST(SwupdateConfig, a_bad_member_is_named) {
  for (const auto& [member, says] : std::vector<std::pair<std::string, std::string>>{
           {R"("publicKeyFile":"k.pem")", "publicKeyFile is no absolute path"},
           {R"("select":"-n")", "select is empty or begins with '-'"},
           {R"("applyCommand":[])", "applyCommand is no array"},
           {R"("applyCommand":["reboot"])", "absolute path"},
           {R"("applyCommand":["/a",1])", "applyCommand holds something"},
           {R"("rebootAfterApply":1)", "rebootAfterApply"},
           {R"("noSignature":true)", "noSignature is no member"}}) {
    const auto config = parse_swupdate_config("{" + member + "}");
    ASSERT_FALSE(config) << member;
    EXPECT_NE(config.error().message.find(says), std::string::npos) << config.error().message;
  }
}

}  // namespace
}  // namespace godwit::step_swupdate
