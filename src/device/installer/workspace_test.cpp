#include "device/installer/workspace.hpp"

#include <gtest/gtest.h>

#include "device/extension/testing/test_extensions.hpp"

namespace godwit::installer {
namespace {

OpenedWorkflow workflow(const std::string& id) {
  return {.workflow_id = id,
          .attempt = 3,
          .manifest_sha256 = "aa",
          .plan = {.update_id = {{"provider", "C"}},
                   .steps = {{.index = 0,
                              .path = "step_0",
                              .handler = "a/b:1",
                              .files = {{.id = "f", .name = "n", .size = 7, .sha256 = "00"}},
                              .handler_properties = {{"x", 1}},
                              .component = {{"id", "m"}}}}}};
}

TEST(Workspaces, an_opened_workflow_is_there_until_it_is_removed) {
  const extension::testing::TemporaryFolder folder;
  Workspaces workspaces(folder.path());
  EXPECT_EQ(workspaces.load("w-1").error().code, Code::not_found);
  ASSERT_TRUE(workspaces.save(workflow("w-1")).value());
  EXPECT_FALSE(workspaces.save(workflow("w-1")).value()) << "the folder was there already";
  const auto again = Workspaces(folder.path()).load("w-1");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->attempt, 3U);
  EXPECT_EQ(again->plan, workflow("w-1").plan);
  ASSERT_TRUE(workspaces.step_folder("w-1", 0));
  ASSERT_TRUE(workspaces.remove("w-1"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_TRUE(workspaces.remove("w-1")) << "removing twice is fine";
}

TEST(Workspaces, the_number_of_folders_is_bounded_and_the_oldest_goes_first) {
  const extension::testing::TemporaryFolder folder;
  Workspaces workspaces(folder.path());
  for (int i = 0; i < 7; ++i) {
    const std::string id = "w-" + std::to_string(i);
    ASSERT_TRUE(workspaces.save(workflow(id)));
    std::filesystem::last_write_time(folder / id / "plan.json",
                                     std::filesystem::file_time_type{} + std::chrono::seconds(i));
  }
  EXPECT_EQ(workspaces.list(), (std::vector<std::string>{"w-3", "w-4", "w-5", "w-6"}));
  ASSERT_TRUE(write_file_durably(folder / "w-5/plan.json", "{"));
  EXPECT_FALSE(workspaces.load("w-5"));
}

}  // namespace
}  // namespace godwit::installer
