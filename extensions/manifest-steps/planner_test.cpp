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

Planned plan_of(std::string_view manifest) { return plan({.manifest = manifest}); }

TEST(Planner, inline_steps_become_the_plan_in_their_order) {
  for (const char* version : {"4", "5"}) {
    const auto planned = plan_of(
        manifest(R"({"handler":"microsoft/script:1","files":["f1","f2"],"handlerProperties":{"scriptFileName":"a.sh"}},
                                       {"type":"inline","handler":"contoso/other:2","files":["f2"]})",
                 version));
    ASSERT_TRUE(planned.ok()) << planned.details;
    EXPECT_EQ(
        json::print(planned.answer),
        R"({"steps":[{"path":"step_0","handler":"microsoft/script:1","files":["f1","f2"],"handlerProperties":{"scriptFileName":"a.sh"}},)"
        R"({"path":"step_1","handler":"contoso/other:2","files":["f2"],"handlerProperties":{}}]})");
  }
}

TEST(Planner, what_cannot_be_planned_is_refused_with_its_code_and_a_sentence) {
  const auto mini = plan_of(
      R"({"manifestVersion":"5","updateId":{"provider":"C","name":"T","version":"1.0"},"detachedManifestFileId":"f1",)" +
      std::string(kFiles) + "}");
  EXPECT_EQ(mini.extended_code, erc::detached_manifest) << mini.details;
  EXPECT_EQ(plan_of(manifest(R"({"handler":"a/b:1","files":["f1"]})", "9")).extended_code, erc::manifest_version);
  EXPECT_EQ(plan_of(manifest(R"({"handler":"a/b:1","files":["f9"]})")).extended_code, erc::bad_manifest);
  EXPECT_EQ(plan_of("{").extended_code, erc::bad_manifest);
  EXPECT_EQ(plan_of("").extended_code, erc::bad_manifest);
}

constexpr std::string_view kReference = R"({"type":"reference","detachedManifestFileId":"f1"})";
constexpr std::string_view kComponents =
    R"({"components":[{"id":"m-1","name":"left","group":"motors","properties":{"bus":"3"}},)"
    R"({"id":"m-2","name":"right","group":"motors","properties":{"bus":"4"}},{"id":"c-1","group":"cameras"}])";

std::string child(std::string_view selector, std::string_view steps = R"({"handler":"a/b:1","files":["f2"]})") {
  const std::string text =
      std::string(R"({"manifestVersion":"5","updateId":{"provider":"C","name":"M","version":"2.0"},)") +
      R"("compatibility":[)" + std::string(selector) + R"(],"instructions":{"steps":[)" + std::string(steps) + "]}," +
      std::string(kFiles) + R"(,"createdDateTime":"2026-11-22T10:00:00Z"})";
  return json::print(json::Object{{"f1", text}});
}

/// path, handler or "skip", component id.
std::vector<std::string> lines(const Planned& planned) {
  std::vector<std::string> out;
  if (!planned.ok()) return {planned.details};
  for (const json::Value& value : planned.answer.at("steps").as_array()) {
    const auto& step = value.as_object();
    std::string line{std::string_view(step.at("path").as_string())};
    line += " " + (step.contains("skip") ? "skip: " + *json::text_or_nothing(step, "skip")
                                         : *json::text_or_nothing(step, "handler"));
    if (const auto* component = json::object_or_null(step, "component"))
      line += " " + *json::text_or_nothing(*component, "id");
    out.push_back(line);
  }
  return out;
}

using Lines = std::vector<std::string>;

TEST(Planner, a_referenced_update_runs_once_on_a_device_without_enumerator) {
  const std::string parent = manifest(R"({"handler":"a/b:1","files":["f1"]},)" + std::string(kReference) +
                                      R"(,{"handler":"c/d:1","files":[]})");
  const std::string children =
      child(R"({"group":"motors"})", R"({"handler":"a/b:2","files":["f2"]},{"handler":"a/b:3","files":[]})");
  EXPECT_EQ(lines(plan({.manifest = parent, .children = children})),
            (Lines{"step_0 a/b:1", "step_1/step_0 a/b:2", "step_1/step_1 a/b:3", "step_2 c/d:1"}));
}

TEST(Planner, a_referenced_update_runs_once_for_each_component_that_it_is_for) {
  const std::string parent = manifest(kReference);
  const std::string all = std::string(kComponents) + "}";
  const auto for_selector = [&](std::string_view selector) {
    const std::string children = child(selector);
    return lines(plan({.manifest = parent, .components = all, .children = children}));
  };
  EXPECT_EQ(for_selector(R"({"group":"motors"})"),
            (Lines{"step_0/component_0/step_0 a/b:1 m-1", "step_0/component_1/step_0 a/b:1 m-2"}));
  EXPECT_EQ(for_selector(R"({"group":"motors","bus":"4"})"), (Lines{"step_0/component_0/step_0 a/b:1 m-2"}));
  EXPECT_EQ(for_selector(R"({"name":"left"})"), (Lines{"step_0/component_0/step_0 a/b:1 m-1"}));
  EXPECT_EQ(for_selector(R"({"group":"doors"})"), (Lines{"step_0 skip: no component matches group=doors"}));
  const std::string chosen = std::string(kComponents) + R"(,"selected":{"f1":["c-1"]}})";
  EXPECT_EQ(lines(plan({.manifest = parent, .components = chosen, .children = child(R"({"group":"motors"})")})),
            (Lines{"step_0/component_0/step_0 a/b:1 c-1"}))
      << "the enumerator has the last word";
}

TEST(Planner, references_that_cannot_be_followed_are_refused) {
  const std::string parent = manifest(kReference);
  EXPECT_EQ(plan_of(parent).extended_code, erc::detached_manifest);
  const std::string nested = child(R"({"a":"b"})", kReference);
  EXPECT_EQ(plan({.manifest = parent, .children = nested}).extended_code, erc::nested_reference);
  EXPECT_EQ(plan({.manifest = parent, .children = R"({"f1":"nonsense"})"}).extended_code, erc::bad_manifest);
  EXPECT_EQ(plan({.manifest = parent, .children = "nonsense"}).extended_code, erc::detached_manifest);
  const std::string good = child(R"({"group":"motors"})");
  for (const std::string_view components :
       {R"([])", R"({"components":7})", R"({"components":[7]})", R"({"components":[{}]})"})
    EXPECT_EQ(plan({.manifest = parent, .components = components, .children = good}).extended_code,
              erc::components_unknown)
        << components;
  std::string many = R"({"components":[)";
  for (int i = 0; i < 60; ++i)
    many += std::string(i == 0 ? "" : ",") + R"({"id":"m-)" + std::to_string(i) + R"(","group":"motors"})";
  many += "]}";
  const std::string two =
      child(R"({"group":"motors"})", R"({"handler":"a/b:2","files":[]},{"handler":"a/b:3","files":[]})");
  EXPECT_EQ(plan({.manifest = parent, .components = many, .children = two}).extended_code, erc::too_many_steps);
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
