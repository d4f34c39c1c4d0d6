// What is kept of an opened workflow: work/<workflow>/ with the checked plan and one folder per step, owned by root.
// Bounded: opening one more than the limit removes the one that was opened longest ago. Blocking; one thread.
#pragma once

#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "device/installer/messages.hpp"

namespace godwit::installer {

inline constexpr std::size_t kWorkspaceLimit = 4;

struct OpenedWorkflow {
  std::string workflow_id{};
  std::uint32_t attempt = 1;
  std::string manifest_sha256{};
  Plan plan{};
};

class Workspaces {
 public:
  explicit Workspaces(Path folder) : folder_(std::move(folder)) {}

  /// true: the folder is new. Errors: io_failed, disk_full.
  [[nodiscard]] Result<bool> save(const OpenedWorkflow& workflow);
  /// Errors: not_found (not opened, or closed), bad_json (damaged).
  [[nodiscard]] Result<OpenedWorkflow> load(const std::string& workflow_id) const;
  [[nodiscard]] Result<void> remove(const std::string& workflow_id);
  [[nodiscard]] std::vector<std::string> list() const;

  /// The folder of one step, made if needed.
  [[nodiscard]] Result<Path> step_folder(const std::string& workflow_id, std::uint32_t step) const;

 private:
  void remove_oldest_but(const std::string& workflow_id) const;
  Path folder_;
};

}  // namespace godwit::installer
