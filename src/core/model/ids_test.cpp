#include "core/model/ids.hpp"

#include <gtest/gtest.h>

namespace godwit {
namespace {

struct Row {
  std::string (*check)(std::string_view);
  std::string text;
  std::string fragment;  // "" = accepted
};

TEST(Ids, each_rule_accepts_its_own_and_names_what_is_wrong) {
  const std::vector<Row> rows = {
      {check_device_id, "dev-1:a.b+c%d_e#f*g?h!i(j),k=l@m;n$o'p", ""},
      {check_device_id, std::string(128, 'x'), ""},
      {check_device_id, std::string(129, 'x'), "more than 128"},
      {check_device_id, "", "empty"},
      {check_device_id, "dev/1", "position 4"},
      {check_device_id, "d\xC3\xA4", "position 2"},
      {check_group_id, "$default", ""},
      {check_group_id, "plant-7_a.b~c", ""},
      {check_group_id, "$other", "position 1"},
      {check_group_id, "Uncategorized", "reserved"},
      {check_group_id, std::string(201, 'g'), "more than 200"},
      {check_deployment_id, "roll out 1.2.0 (b\xC3\xBCro)", ""},
      {check_deployment_id, std::string(73, 'd'), ""},
      {check_deployment_id, std::string(74, 'd'), "more than 73"},
      {check_deployment_id, "Rollout", "upper-case letter at position 1"},
      {check_deployment_id, "a/b", "'/' at position 2"},
      {check_deployment_id, "a\\b", "position 2"},
      {check_deployment_id, "a\nb", "control character"},
      {check_deployment_id, "a\xFF", "UTF-8"},
      {check_class_id, std::string(40, 'a'), ""},
      {check_class_id, std::string(40, 'A'), "lower-case"},
      {check_class_id, std::string(39, 'a'), "40"},
      {check_file_id, "f0a1b2c3d4e5f6071", ""},
      {check_file_id, "..", "folder"},  // faults: 45
      {check_file_id, "a/b", "position 2"},
      {check_instance_id, "abc", ""},
      {check_instance_id, "ab", "fewer than 3"},
      {check_instance_id, "a_c", "position 2"},
  };
  for (const Row& row : rows) {
    const std::string reason = row.check(row.text);
    if (row.fragment.empty())
      EXPECT_EQ(reason, "") << row.text;
    else
      EXPECT_NE(reason.find(row.fragment), std::string::npos) << row.text << ": '" << reason << "'";
  }
}

TEST(Ids, an_id_exists_only_if_it_obeys_its_rule) {
  const auto good = DeviceId::parse("dev1");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->str(), "dev1");
  const auto bad = GroupId::parse("a b", "group");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Code::invalid_argument);
  EXPECT_NE(bad.error().message.find("group 'a b' has a character at position 2"), std::string::npos);
  EXPECT_LT(*DeviceId::parse("a"), *DeviceId::parse("b"));
}

TEST(IdentityId, a_device_and_its_modules_have_texts_that_cannot_be_mixed_up) {
  const IdentityId device = IdentityId::parse("dev1").value();
  EXPECT_FALSE(device.is_module());
  EXPECT_EQ(device.str(), "dev1");
  EXPECT_EQ(device.module_text(), "");
  const IdentityId module = IdentityId::parse("dev1/mod1").value();
  EXPECT_TRUE(module.is_module());
  EXPECT_EQ(module.str(), "dev1/mod1");
  EXPECT_EQ(module.device().str(), "dev1");
  EXPECT_EQ(module.module_text(), "mod1");
  EXPECT_NE(device, module);
  EXPECT_EQ(module, IdentityId(DeviceId::parse("dev1").value(), ModuleId::parse("mod1").value()));
}

TEST(IdentityId, each_part_obeys_the_rule_of_device_ids) {
  for (const std::string text : {"", "/", "dev1/", "/mod1", "dev1/mod1/x", "dev 1", "dev1/m d"})
    EXPECT_EQ(IdentityId::parse(text).error().code, Code::invalid_argument) << text;
}

}  // namespace
}  // namespace godwit
