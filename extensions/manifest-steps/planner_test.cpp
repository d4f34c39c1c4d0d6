#include "planner.hpp"

#include <gtest/gtest.h>

#include "core/base/file.hpp"
#include "core/model/outcome.hpp"
#include "device/extension/process.hpp"
#include "device/extension/testing/test_extensions.hpp"

namespace godwit::manifest_steps {
namespace {

constexpr std::string_view kFiles =
    R"("files":{"f1":{"fileName":"a.sh","sizeInBytes":10,"hashes":{"sha256":"mcB5SexMU4JOOzqmlJqKbue9qMskWY3EI/iVjJxCtAs="}},
  "f2":{"fileName":"b.bin","sizeInBytes":20,"hashes":{"sha256":"2MIldV8LkdKenjJasgTHuYi+apgtNQ9FeL2xsV3ikHY="}}})";

std::string manifest(std::string_view steps, std::string_view version = "5") {
  return std::string(R"({"manifestVersion":")") + std::string(version) +
         R"(","updateId":{"provider":"Contoso","name":"Toaster","version":"1.0"},
    "compatibility":[{"manufacturer":"Contoso","model":"Toaster"}],"instructions":{"steps":[)" +
         std::string(steps) + "]}," + std::string(kFiles) + R"(,"createdDateTime":"2026-11-22T10:00:00Z"})";
}

TEST(Planner, inline_steps_become_the_plan_in_their_order) {
  for (const char* version : {"4", "5"}) {
    const auto planned = plan(
        manifest(R"({"handler":"microsoft/script:1","files":["f1","f2"],"handlerProperties":{"scriptFileName":"a.sh"}},
                                       {"type":"inline","handler":"contoso/other:2","files":["f2"]})",
                 version),
        "");
    ASSERT_TRUE(planned.ok()) << planned.details;
    EXPECT_EQ(
        json::print(planned.answer),
        R"({"steps":[{"path":"step_0","handler":"microsoft/script:1","files":["f1","f2"],"handlerProperties":{"scriptFileName":"a.sh"}},)"
        R"({"path":"step_1","handler":"contoso/other:2","files":["f2"],"handlerProperties":{}}]})");
  }
}

TEST(Planner, what_cannot_be_planned_is_refused_with_its_code_and_a_sentence) {
  const auto reference = plan(manifest(R"({"type":"reference","detachedManifestFileId":"f1"})"), "");
  EXPECT_FALSE(reference.ok());
  EXPECT_EQ(reference.extended_code, 0x3040000AU);
  EXPECT_NE(reference.details.find("step 0"), std::string::npos);
  const auto mini = plan(
      R"({"manifestVersion":"5","updateId":{"provider":"C","name":"T","version":"1.0"},"detachedManifestFileId":"f1",)" +
          std::string(kFiles) + "}",
      "");
  EXPECT_EQ(mini.extended_code, erc::detached_manifest) << mini.details;
  EXPECT_EQ(plan(manifest(R"({"handler":"a/b:1","files":["f1"]})", "9"), "").extended_code, erc::manifest_version);
  EXPECT_EQ(plan(manifest(R"({"handler":"a/b:1","files":["f9"]})"), "").extended_code, erc::bad_manifest);
  EXPECT_EQ(plan("{", "").extended_code, erc::bad_manifest);
  EXPECT_EQ(plan("", "").extended_code, erc::bad_manifest);
}

TEST(Planner, the_extension_answers_through_its_contract) {
  using namespace extension;
  const Registration registration =
      extension::testing::registration_of(extension::testing::library_folder() / "godwit-manifest-steps.so",
                                          Type::manifest_handler, "microsoft/update-manifest:5");
  const auto planned =
      run_extension(registration, {{"verb", "plan"}, {"manifest", manifest(R"({"handler":"a/b:1","files":["f1"]})")}},
                    Limits{}, {}, {});
  ASSERT_TRUE(planned) << planned.error().message;
  EXPECT_EQ(planned->result_code, 1);
  EXPECT_EQ(planned->answer.at("steps").as_array().size(), 1U);
  const auto refused = run_extension(registration, {{"verb", "plan"}, {"manifest", "nonsense"}}, Limits{}, {}, {});
  ASSERT_TRUE(refused) << refused.error().message;
  EXPECT_EQ(refused->result_code, 0);
  EXPECT_EQ(refused->extended_code, erc::bad_manifest);
  EXPECT_NE(refused->details, "");
}

}  // namespace
}  // namespace godwit::manifest_steps
