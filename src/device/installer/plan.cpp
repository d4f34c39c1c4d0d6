#include "device/installer/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/model/text.hpp"
#include "device/extension/registry.hpp"

namespace godwit::installer {
namespace {

constexpr std::size_t kStepsLimit = 100;
constexpr std::size_t kFilesLimit = 20;
constexpr std::size_t kPathLimit = 64;

tl::unexpected<Error> broken(std::size_t index, std::string_view what) {
  return fail(Code::extension_contract, fmt::format("the planner's answer: steps[{}]: {}", index, what));
}

bool is_step_path(std::string_view path) {
  return !path.empty() && path.size() <= kPathLimit &&
         std::all_of(path.begin(), path.end(), [](char c) { return is_ascii_alphanumeric(c) || c == '_' || c == '/'; });
}

Result<std::vector<PlanFile>> read_files(const json::Object& object, std::size_t index,
                                         const manifest::UpdateManifest& manifest) {
  std::vector<PlanFile> files;
  const json::Value* value = json::find(object, "files");
  if (value == nullptr || !value->is_array() || value->get_array().size() > kFilesLimit)
    return broken(index, fmt::format("files is not a list of at most {}", kFilesLimit));
  for (const json::Value& entry : value->get_array()) {
    if (!entry.is_string()) return broken(index, "files holds what is not text");
    const std::string id{std::string_view(entry.get_string())};
    const auto file = manifest.files.find(id);
    if (file == manifest.files.end())
      return broken(index, fmt::format("the file '{}' is not in the signed manifest", id.substr(0, 64)));
    if (std::any_of(files.begin(), files.end(), [&](const PlanFile& f) { return f.id == id; }))
      return broken(index, fmt::format("the file '{}' is named twice", id));
    files.push_back({.id = id,
                     .name = file->second.file_name,
                     .size = file->second.size,
                     .sha256 = hex_encode(file->second.sha256())});
  }
  return files;
}

/// handlerProperties.restoreScope: "step" (the default) or "update".
Result<bool> restores_update(const json::Object& properties, std::size_t index) {
  const json::Value* scope = json::find(properties, "restoreScope");
  if (scope == nullptr || scope->is_null()) return false;
  if (scope->is_string() && scope->get_string() == "update") return true;
  if (scope->is_string() && scope->get_string() == "step") return false;
  return broken(index, "handlerProperties.restoreScope is neither \"step\" nor \"update\"");
}

Result<PlanStep> read_step(const json::Value& value, std::size_t index, const manifest::UpdateManifest& manifest) {
  if (!value.is_object()) return broken(index, "not an object");
  const json::Object& object = value.get_object();
  PlanStep step;
  step.index = static_cast<std::uint32_t>(index);
  step.path = json::text_or_nothing(object, "path").value_or("");
  if (!is_step_path(step.path)) return broken(index, "path is not a step's path");
  step.handler = json::text_or_nothing(object, "handler").value_or("");
  if (const std::string reason = extension::check_extension_id(step.handler); !reason.empty())
    return broken(index, "handler " + reason);
  GODWIT_TRY(step.files, read_files(object, index, manifest));
  if (const json::Value* properties = json::find(object, "handlerProperties");
      properties != nullptr && !properties->is_null()) {
    if (!properties->is_object()) return broken(index, "handlerProperties is not an object");
    step.handler_properties = properties->get_object();
    GODWIT_TRY(step.restores_update, restores_update(step.handler_properties, index));
  }
  if (const json::Value* component = json::find(object, "component"); component != nullptr && !component->is_null()) {
    if (!component->is_object()) return broken(index, "component is not an object");
    step.component = component->get_object();
  }
  return step;
}

}  // namespace

Result<Plan> plan_from_answer(const json::Object& answer, const manifest::UpdateManifest& manifest) {
  const json::Value* steps = json::find(answer, "steps");
  if (steps == nullptr || !steps->is_array())
    return fail(Code::extension_contract, "the planner's answer has no list of steps");
  const json::Array& array = steps->get_array();
  if (array.empty() || array.size() > kStepsLimit)
    return fail(Code::extension_contract,
                fmt::format("the planner's answer has {} steps, allowed are 1 to {}", array.size(), kStepsLimit));
  Plan plan{.update_id = manifest.update_id.to_json()};
  for (std::size_t i = 0; i < array.size(); ++i) {
    GODWIT_TRY(PlanStep step, read_step(array[i], i, manifest));
    plan.steps.push_back(std::move(step));
  }
  return plan;
}

}  // namespace godwit::installer
