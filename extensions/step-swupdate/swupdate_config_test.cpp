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
           {R"("slots":{"a":"x,y"})", "slots is no object with the members a and b"},
           {R"("slots":{"a":"x,y","c":"x,z"})", "slots is no object with the members a and b"},
           {R"("slots":{"a":"x,y","b":"-n"})", "slots.b is empty or begins with '-'"},
           {R"("slots":{"a":"x,y","b":"x,y"})", "select the same"},
           {R"("noSignature":true)", "noSignature is no member"}}) {
    const auto config = parse_swupdate_config("{" + member + "}");
    ASSERT_FALSE(config) << member;
    EXPECT_NE(config.error().message.find(says), std::string::npos) << config.error().message;
  }
}

TEST(SwupdateConfig, slots_and_commands_exclude_each_other) {
  const std::string slots = R"({"publicKeyFile":"/k.pem","slots":{"a":"stable,a","b":"stable,b"})";
  const auto config = parse_swupdate_config(slots + "}");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->has_slots());
  EXPECT_EQ(config->select_b, "stable,b");
  EXPECT_EQ(swupdate_arguments(*config, config->select_b, "/w/a.swu"),
            (std::vector<std::string>{"-k", "/k.pem", "-M", "-m", "-e", "stable,b", "-i", "/w/a.swu"}));
  for (const char* more : {R"(,"select":"x,y"})", R"(,"selectCommand":["/a"]})", R"(,"applyCommand":["/a"]})",
                           R"(,"revertCommand":["/a"]})"})
    EXPECT_NE(parse_swupdate_config(slots + more).error().message.find("with slots there is no select"),
              std::string::npos);
}

}  // namespace
}  // namespace godwit::step_swupdate
