#include "device/installer/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/model/text.hpp"
#include "device/extension/registry.hpp"
#include "device/extension/worker_messages.hpp"

namespace godwit::installer {
namespace {

constexpr std::size_t kStepsLimit = 100;
constexpr std::size_t kFilesLimit = 20;
constexpr std::size_t kPathLimit = 64;
constexpr std::size_t kSubjectLimit = 160;

tl::unexpected<Error> broken(std::size_t index, std::string_view what) {
  return fail(Code::extension_contract, fmt::format("the planner's answer: steps[{}]: {}", index, what));
}

bool is_step_path(std::string_view path) {
  return !path.empty() && path.size() <= kPathLimit &&
         std::all_of(path.begin(), path.end(), [](char c) { return is_ascii_alphanumeric(c) || c == '_' || c == '/'; });
}

/// Payloads of a child stand in the child's manifest; the ids of two updates differ, as they are made from theirs.
const manifest::PayloadFile* find_file(const Verified& verified, const std::string& id) {
  if (const auto own = verified.manifest.files.find(id); own != verified.manifest.files.end()) return &own->second;
  for (const auto& [child_id, child] : verified.children)
    if (const auto file = child.manifest.files.find(id); file != child.manifest.files.end()) return &file->second;
  return nullptr;
}

PlanFile to_plan_file(const std::string& id, const manifest::PayloadFile& file) {
  PlanFile planned{.id = id,
                   .name = file.file_name,
                   .size = file.size,
                   .sha256 = hex_encode(file.sha256()),
                   .download_handler = file.download_handler};
  for (const auto& [related_id, related] : file.related_files)
    planned.related.push_back({.id = related_id,
                               .name = related.file_name,
                               .size = related.size,
                               .sha256 = hex_encode(related.sha256()),
                               .properties = related.properties});
  return planned;
}

/// "left (m-1)", or the id alone.
std::string subject_of(const json::Object& component) {
  const auto id = json::text_or_nothing(component, "id").value_or("");
  const auto name = json::text_or_nothing(component, "name").value_or("");
  const std::string text = name.empty() || name == id ? id : fmt::format("{} ({})", name, id);
  return cut_details(extension::printable(text), kSubjectLimit);
}

Result<std::vector<PlanFile>> read_files(const json::Object& object, std::size_t index, const Verified& verified) {
  std::vector<PlanFile> files;
  const json::Value* value = json::find(object, "files");
  if (value == nullptr || !value->is_array() || value->get_array().size() > kFilesLimit)
    return broken(index, fmt::format("files is not a list of at most {}", kFilesLimit));
  for (const json::Value& entry : value->get_array()) {
    if (!entry.is_string()) return broken(index, "files holds what is not text");
    const std::string id{std::string_view(entry.get_string())};
    const auto* file = find_file(verified, id);
    if (file == nullptr)
      return broken(index, fmt::format("the file '{}' is not in the signed manifest", id.substr(0, 64)));
    if (std::any_of(files.begin(), files.end(), [&](const PlanFile& f) { return f.id == id; }))
      return broken(index, fmt::format("the file '{}' is named twice", id));
    files.push_back(to_plan_file(id, *file));
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

/// handlerProperties.streamedFile: the name of one of the step's files, of which the handler fetches what it needs.
Result<void> mark_streamed(PlanStep& step, std::size_t index) {
  const json::Value* name = json::find(step.handler_properties, "streamedFile");
  if (name == nullptr || name->is_null()) return {};
  const auto file = name->is_string() ? std::find_if(step.files.begin(), step.files.end(),
                                                     [&](const PlanFile& f) { return f.name == name->get_string(); })
                                      : step.files.end();
  if (file == step.files.end())
    return broken(index, "handlerProperties.streamedFile is not the name of one of the step's files");
  if (!file->download_handler.empty())
    return broken(index, "handlerProperties.streamedFile: the file has a download handler, which makes it whole");
  file->is_streamed = true;
  return {};
}

Result<PlanStep> read_step(const json::Value& value, std::size_t index, const Verified& verified) {
  if (!value.is_object()) return broken(index, "not an object");
  const json::Object& object = value.get_object();
  PlanStep step;
  step.index = static_cast<std::uint32_t>(index);
  step.path = json::text_or_nothing(object, "path").value_or("");
  if (!is_step_path(step.path)) return broken(index, "path is not a step's path");
  if (auto skip = json::text_or_nothing(object, "skip"); skip && !skip->empty()) {
    step.skip = cut_details(extension::printable(*skip));
    return step;
  }
  step.handler = json::text_or_nothing(object, "handler").value_or("");
  if (const std::string reason = extension::check_extension_id(step.handler); !reason.empty())
    return broken(index, "handler " + reason);
  GODWIT_TRY(step.files, read_files(object, index, verified));
  if (const json::Value* properties = json::find(object, "handlerProperties");
      properties != nullptr && !properties->is_null()) {
    if (!properties->is_object()) return broken(index, "handlerProperties is not an object");
    step.handler_properties = properties->get_object();
    GODWIT_TRY(step.restores_update, restores_update(step.handler_properties, index));
    GODWIT_TRY_VOID(mark_streamed(step, index));
  }
  if (const json::Value* component = json::find(object, "component"); component != nullptr && !component->is_null()) {
    if (!component->is_object()) return broken(index, "component is not an object");
    step.component = component->get_object();
    step.subject = subject_of(step.component);
  }
  return step;
}

}  // namespace

Result<Plan> plan_from_answer(const json::Object& answer, const Verified& verified) {
  const json::Value* steps = json::find(answer, "steps");
  if (steps == nullptr || !steps->is_array())
    return fail(Code::extension_contract, "the planner's answer has no list of steps");
  const json::Array& array = steps->get_array();
  if (array.empty() || array.size() > kStepsLimit)
    return fail(Code::extension_contract,
                fmt::format("the planner's answer has {} steps, allowed are 1 to {}", array.size(), kStepsLimit));
  Plan plan{.update_id = verified.manifest.update_id.to_json()};
  for (std::size_t i = 0; i < array.size(); ++i) {
    GODWIT_TRY(PlanStep step, read_step(array[i], i, verified));
    plan.steps.push_back(std::move(step));
  }
  return plan;
}

}  // namespace godwit::installer
