// Goal: further instances are made whole or not at all, are told apart by what devices name, and are removed only by
// somebody who means it.
#include "apps/godwitd/instances.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace godwit::daemon {
namespace {

class InstancesTest : public ::testing::Test {
 protected:
  InstancesTest() {
    char name[] = "/tmp/godwit-instances-XXXXXX";
    layout_ = Layout{::mkdtemp(name)};
    config_.api_host = "updates.example.org";
  }
  ~InstancesTest() override { static_cast<void>(remove_tree(layout_.data)); }
  [[nodiscard]] Result<void> create(const std::string& id, const std::string& hub) {
    return create_instance(config_, layout_, id, hub);
  }
  Layout layout_;
  Config config_;
};

TEST_F(InstancesTest, one_that_was_made_is_found_with_a_configuration_of_its_own) {
  ASSERT_TRUE(create("plant-a", "plant-a.example.org"));
  std::ofstream(layout_.instance("plant-a").instance_config(), std::ios::app) << "[limits]\ndevices = 50\n";
  const auto found = find_instances(config_, layout_);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().config.hub_name, "plant-a.example.org");
  EXPECT_EQ(found->front().config.limit_devices, 50);
  EXPECT_EQ(found->front().config.api_instance, "plant-a");
  EXPECT_EQ(config_.limit_devices, 0);
  EXPECT_TRUE(std::filesystem::exists(layout_.instance("plant-a").url_key()));
  EXPECT_NE(describe_instances(config_, layout_, *found).find("plant-a.example.org"), std::string::npos);
}

TEST_F(InstancesTest, what_devices_name_must_tell_them_apart) {
  ASSERT_TRUE(create("plant-a", "plant-a.example.org"));
  EXPECT_EQ(create("plant-a", "other.example.org").error().code, Code::conflict);
  EXPECT_EQ(create("plant-b", "PLANT-A.example.org").error().code, Code::conflict);
  EXPECT_EQ(create("plant-b", config_.hub_name).error().code, Code::conflict);
  EXPECT_EQ(create("plant-b", config_.api_host).error().code, Code::conflict)
      << "who dials the machine means the first";
  EXPECT_EQ(create("default", "x.example.org").error().code, Code::conflict);
  for (const char* id : {"", "a", "../up", "has space", "a/b"})
    EXPECT_EQ(create(id, "x.example.org").error().code, Code::invalid_argument) << id;
  EXPECT_EQ(create("plant-c", "has space").error().code, Code::invalid_argument);
  EXPECT_EQ(find_instances(config_, layout_)->size(), 1U) << "a refusal leaves nothing behind";
}

TEST_F(InstancesTest, keys_of_the_whole_process_are_refused_in_an_instance) {
  ASSERT_TRUE(create("plant-a", "plant-a.example.org"));
  std::ofstream(layout_.instance("plant-a").instance_config(), std::ios::app) << "[api]\nport = 9443\n";
  const auto found = find_instances(config_, layout_);
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("\"api\" is not a known key"), std::string::npos) << found.error().message;
}

TEST_F(InstancesTest, one_that_was_cut_off_while_it_was_made_is_not_there) {
  ASSERT_TRUE(make_folders(layout_.instances() / ".plant-a.77" / "db"));
  EXPECT_TRUE(find_instances(config_, layout_)->empty());
  EXPECT_TRUE(create("plant-a", "plant-a.example.org"));
}

TEST_F(InstancesTest, removing_wants_the_id_twice) {
  ASSERT_TRUE(create("plant-a", "plant-a.example.org"));
  EXPECT_EQ(remove_instance(layout_, "plant-b", "plant-b").error().code, Code::not_found);
  const auto refused = remove_instance(layout_, "plant-a", "");
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  EXPECT_NE(refused.error().message.find("--delete-everything plant-a"), std::string::npos);
  EXPECT_TRUE(remove_instance(layout_, "plant-a", "plant-a"));
  EXPECT_TRUE(find_instances(config_, layout_)->empty());
}

}  // namespace
}  // namespace godwit::daemon
