// What a planner answers: a plan made of it names nothing but what the signed manifest holds, and survives being kept.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "device/installer/plan.hpp"

namespace {

const godwit::manifest::UpdateManifest& signed_manifest() {
  static const auto manifest = godwit::manifest::parse_update_manifest(
      R"({"manifestVersion":"5","updateId":{"provider":"C","name":"T","version":"1.0"},"compatibility":[{"model":"T"}],"instructions":{"steps":[{"handler":"a/b:1","files":["f1"]}]},)"
      R"("files":{"f1":{"fileName":"a","sizeInBytes":1,"hashes":{"sha256":"mcB5SexMU4JOOzqmlJqKbue9qMskWY3EI/iVjJxCtAs="}},"f2":{"fileName":"b","sizeInBytes":2,"hashes":{"sha256":"mcB5SexMU4JOOzqmlJqKbue9qMskWY3EI/iVjJxCtAs="}}},)"
      R"("createdDateTime":"2026-11-22T10:00:00Z"})");
  GODWIT_CHECK(manifest.has_value());
  return *manifest;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::installer;
  const auto answer =
      godwit::json::parse_object({reinterpret_cast<const char*>(data), size}, {.bytes = 1 << 16, .depth = 32});
  if (!answer) return 0;
  const auto plan = plan_from_answer(*answer, {.manifest = signed_manifest()});
  if (!plan) return 0;
  for (const PlanStep& step : plan->steps)
    for (const PlanFile& file : step.files) GODWIT_CHECK(signed_manifest().files.contains(file.id));
  const auto again = parse_plan(to_json(*plan, PlanDetail::whole));
  GODWIT_CHECK(again.has_value());
  GODWIT_CHECK(*again == *plan);
  return 0;
}
