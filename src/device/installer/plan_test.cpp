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
  return plan_from_answer(json::parse_object(answer).value(), {.manifest = signed_manifest()});
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

TEST(Plan, files_of_a_child_count_too_and_keep_what_they_can_be_made_from) {
  const auto with_delta = manifest::parse_update_manifest(
      R"({"manifestVersion":"5","updateId":{"provider":"C","name":"M","version":"2.0"},"compatibility":[{"group":"m"}],)"
      R"("instructions":{"steps":[{"handler":"a/b:1","files":["fm"]}]},"files":{"fm":{"fileName":"m.bin","sizeInBytes":9,)"
      R"("hashes":{"sha256":"mcB5SexMU4JOOzqmlJqKbue9qMskWY3EI/iVjJxCtAs="},"downloadHandler":{"id":"microsoft/delta:1"},)"
      R"("relatedFiles":{"fd":{"fileName":"m.delta","sizeInBytes":3,)"
      R"("hashes":{"sha256":"mcB5SexMU4JOOzqmlJqKbue9qMskWY3EI/iVjJxCtAs="},"properties":{"microsoft.sourceFileHash":"x"}}}}},)"
      R"("createdDateTime":"2026-11-22T10:00:00Z"})");
  ASSERT_TRUE(with_delta) << with_delta.error().message;
  Verified verified{.manifest = signed_manifest()};
  verified.children["fc"] = {.manifest = *with_delta};
  const auto made = plan_from_answer(
      json::parse_object(
          R"({"steps":[{"path":"step_0/component_0/step_0","handler":"a/b:1","files":["fm"],"component":{"id":"m-1","name":"left"}},)"
          R"({"path":"step_1","skip":"no component matches group=x"}]})")
          .value(),
      verified);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->steps[0].subject, "left (m-1)");
  EXPECT_EQ(made->steps[0].files[0].download_handler, "microsoft/delta:1");
  ASSERT_EQ(made->steps[0].files[0].related.size(), 1U);
  EXPECT_EQ(made->steps[0].files[0].related[0].name, "m.delta");
  EXPECT_EQ(made->steps[0].files[0].related[0].properties.at("microsoft.sourceFileHash").as_string(), "x");
  EXPECT_EQ(made->steps[1].skip, "no component matches group=x");
  const auto again = parse_plan(to_json(*made, PlanDetail::whole));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, *made);
}

TEST(Plan, a_step_may_stream_one_of_its_own_files) {
  const auto step = [](std::string_view properties) {
    return plan(
        std::string(R"({"steps":[{"path":"step_0","handler":"a/b:1","files":["f-a","f-b"],"handlerProperties":)") +
        std::string(properties) + "}]}");
  };
  const auto made = step(R"({"streamedFile":"b"})");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_FALSE(made->steps[0].files[0].is_streamed);
  EXPECT_TRUE(made->steps[0].files[1].is_streamed);
  EXPECT_EQ(parse_plan(to_json(*made, PlanDetail::whole)).value(), *made);
  for (const std::string_view wrong :
       {R"({"streamedFile":"f-b"})", R"({"streamedFile":7})", R"({"streamedFile":""})"}) {
    const auto refused = step(wrong);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_NE(refused.error().message.find("streamedFile"), std::string::npos);
  }
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
