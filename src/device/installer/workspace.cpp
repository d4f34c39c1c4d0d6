#include "device/installer/workspace.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/manifest/update_manifest.hpp"

namespace godwit::installer {
namespace {

constexpr ByteCount kPlanLimit = 4 * manifest::kUpdateManifestLimit;  // a plan repeats what the manifest says
constexpr std::string_view kPlanFile = "plan.json";

Result<OpenedWorkflow> parse_opened(std::string_view text) {
  OpenedWorkflow opened;
  GODWIT_TRY(const json::Object object, json::parse_object(text, {.bytes = kPlanLimit, .depth = 40}));
  if (json::integer_or_nothing(object, "version") != 1) return fail(Code::unsupported, "version is not 1");
  GODWIT_TRY(opened.workflow_id, json::text(object, "workflow_id", ""));
  GODWIT_TRY(const std::int64_t attempt, json::integer(object, "attempt", ""));
  opened.attempt = static_cast<std::uint32_t>(attempt);
  GODWIT_TRY(opened.manifest_sha256, json::text(object, "manifest_sha256", ""));
  GODWIT_TRY(const json::Object* plan, json::object(object, "plan", ""));
  GODWIT_TRY(opened.plan, parse_plan(*plan));
  return opened;
}

}  // namespace

Result<bool> Workspaces::save(const OpenedWorkflow& workflow) {
  const Path folder = folder_ / workflow.workflow_id;
  const bool is_new = !std::filesystem::exists(folder);
  if (is_new) remove_oldest_but(workflow.workflow_id);
  GODWIT_TRY_VOID(make_folders(folder));
  const json::Object document{{"version", 1},
                              {"workflow_id", workflow.workflow_id},
                              {"attempt", workflow.attempt},
                              {"manifest_sha256", workflow.manifest_sha256},
                              {"plan", to_json(workflow.plan, PlanDetail::whole)}};
  GODWIT_TRY_VOID(write_file_durably(folder / kPlanFile, json::print(document)));
  return is_new;
}

Result<OpenedWorkflow> Workspaces::load(const std::string& workflow_id) const {
  const Path file = folder_ / workflow_id / kPlanFile;
  const auto text = read_file(file, kPlanLimit);
  if (!text && text.error().code == Code::not_found)
    return fail(Code::not_found, fmt::format("workflow {} is not open; open it first", workflow_id));
  if (!text) return tl::unexpected<Error>{text.error()};
  auto opened = parse_opened(*text);
  if (!opened) return with_context(file.string(), opened.error());
  return opened;
}

Result<void> Workspaces::remove(const std::string& workflow_id) { return remove_tree(folder_ / workflow_id); }

std::vector<std::string> Workspaces::list() const {
  std::error_code problem;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, problem))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

Result<Path> Workspaces::step_folder(const std::string& workflow_id, std::uint32_t step) const {
  const Path folder = folder_ / workflow_id / fmt::format("step_{}", step);
  GODWIT_TRY_VOID(make_folders(folder));
  return folder;
}

void Workspaces::remove_oldest_but(const std::string& workflow_id) const {
  std::error_code problem;
  std::vector<std::pair<std::filesystem::file_time_type, Path>> folders;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, problem)) {
    if (entry.path().filename() == workflow_id) continue;
    const auto opened =
        std::filesystem::last_write_time(entry.path() / kPlanFile, problem);  // the earliest time if there is no plan
    folders.emplace_back(problem ? std::filesystem::file_time_type::min() : opened, entry.path());
  }
  std::sort(folders.begin(), folders.end());
  for (std::size_t i = 0; i + kWorkspaceLimit <= folders.size(); ++i) (void)remove_tree(folders[i].second);
}

}  // namespace godwit::installer
