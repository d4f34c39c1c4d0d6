// Any answer of a component enumerator: what is taken are at most a hundred objects with ids of their own, and the
// planner makes a plan or a sentence of them.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "device/agent/components.hpp"
#include "planner.hpp"

namespace {

constexpr std::string_view kManifest =
    R"({"manifestVersion":"5","updateId":{"provider":"C","name":"T","version":"1.0"},"compatibility":[{"model":"T"}],)"
    R"("instructions":{"steps":[{"type":"reference","detachedManifestFileId":"m1"}]},)"
    R"("files":{"m1":{"fileName":"part.json","sizeInBytes":1,"hashes":{"sha256":"mcB5SexMU4JOOzqmlJqKbue9qMskWY3EI/iVjJxCtAs="}}},)"
    R"("createdDateTime":"2026-11-22T10:00:00Z"})";
constexpr std::string_view kChild =
    R"({"manifestVersion":"5","updateId":{"provider":"C","name":"P","version":"1.0"},"compatibility":[{"group":"g"}],)"
    R"("instructions":{"steps":[{"handler":"a/b:1","files":["f1"],"handlerProperties":{}}]},)"
    R"("files":{"f1":{"fileName":"a","sizeInBytes":1,"hashes":{"sha256":"mcB5SexMU4JOOzqmlJqKbue9qMskWY3EI/iVjJxCtAs="}}},)"
    R"("createdDateTime":"2026-11-22T10:00:00Z"})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  const auto answer = json::parse_object({reinterpret_cast<const char*>(data), size}, {.bytes = 1 << 16, .depth = 12});
  if (!answer) return 0;
  const auto components = agent::components_of(*answer);
  if (!components) {
    GODWIT_CHECK(!components.error().message.empty());
    return 0;
  }
  GODWIT_CHECK((*components)->size() <= agent::kComponentsLimit);
  std::set<std::string> ids;
  json::Array selected;
  for (const json::Value& component : **components) {
    const std::string id = json::text_or_nothing(component.get_object(), "id").value();
    GODWIT_CHECK(!id.empty() && ids.insert(id).second);
    selected.emplace_back(id);
  }
  const std::size_t count = selected.size();
  const std::string known =
      json::print(json::Object{{"components", **components}, {"selected", json::Object{{"m1", std::move(selected)}}}});
  const std::string children = json::print(json::Object{{"m1", kChild}});
  const auto planned = manifest_steps::plan({.manifest = kManifest, .components = known, .children = children});
  if (!planned.ok()) return 0;
  const auto* steps = json::find(planned.answer, "steps");
  GODWIT_CHECK(steps != nullptr && steps->is_array() && steps->get_array().size() <= (count == 0 ? 1 : count));
  return 0;
}
