#include "device/installer/plan.hpp"

#include <gtest/gtest.h>

#include "device/installer/testing/bench.hpp"

namespace godwit::installer {
namespace {

manifest::UpdateManifest signed_manifest() {
  return manifest::parse_update_manifest(
             testing::manifest_text({{.handler = "a/b:1", .files = {"a", "b"}}}, {{"a", "content"}, {"b", "other"}}))
      .value();
}
Result<Plan> plan(std::string_view answer) {
  return plan_from_answer(json::parse_object(answer).value(), signed_manifest());
}

TEST(Plan, a_planners_answer_becomes_a_plan_with_the_files_of_the_signed_manifest) {
  const auto made = plan(
      R"({"steps":[{"path":"step_0","handler":"a/b:1","files":["f-a","f-b"],"handlerProperties":{"x":1},"component":{"id":"m-1"}},{"path":"step_0/step_1","handler":"c/d:2","files":[]}]})");
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_EQ(made->steps.size(), 2U);
  EXPECT_EQ(made->steps[0].files[0],
            (PlanFile{.id = "f-a", .name = "a", .size = 7, .sha256 = hex_encode(sha256("content"))}));
  EXPECT_EQ(made->steps[0].component.at("id").as_string(), "m-1");
  EXPECT_EQ(made->steps[1].index, 1U);
  EXPECT_EQ(made->update_id.at("name").as_string(), "Toaster");
}

TEST(Plan, an_answer_that_says_more_than_the_signed_manifest_is_refused) {
  for (const std::string_view answer :
       {R"({})", R"({"steps":{}})", R"({"steps":[]})", R"({"steps":[7]})",
        R"({"steps":[{"path":"step_0","handler":"a/b:1","files":["f-evil"]}]})",
        R"({"steps":[{"path":"step_0","handler":"a/b:1","files":["f-a","f-a"]}]})",
        R"({"steps":[{"path":"../x","handler":"a/b:1","files":[]}]})",
        R"({"steps":[{"path":"","handler":"a/b:1","files":[]}]})",
        R"({"steps":[{"path":"step_0","handler":"nonsense","files":[]}]})",
        R"({"steps":[{"path":"step_0","handler":"a/b:1"}]})",
        R"({"steps":[{"path":"step_0","handler":"a/b:1","files":[7]}]})",
        R"({"steps":[{"path":"step_0","handler":"a/b:1","files":[],"handlerProperties":7}]})",
        R"({"steps":[{"path":"step_0","handler":"a/b:1","files":[],"component":"m"}]})"})
    EXPECT_FALSE(plan(answer)) << answer;
  std::string many = R"({"steps":[)";
  for (int i = 0; i < 101; ++i)
    many += std::string(i == 0 ? "" : ",") + R"({"path":"step_0","handler":"a/b:1","files":[]})";
  EXPECT_FALSE(plan(many + "]}"));
}

}  // namespace
}  // namespace godwit::installer
