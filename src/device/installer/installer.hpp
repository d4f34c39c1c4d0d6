// The installer's answers, without sockets: opens a workflow (verify, plan), does one act of it, closes it. It decides
// nothing about order; it makes sure that only what is signed for this device runs, and that nothing that ended runs
// twice. Blocking; belongs to one thread. The stop token and `is_ending` may be raised from another.
#pragma once

#include <atomic>
#include <functional>
#include <stop_token>
#include <variant>

#include "core/base/log.hpp"
#include "device/extension/process.hpp"
#include "device/extension/registry.hpp"
#include "device/installer/installer_config.hpp"
#include "device/installer/journal.hpp"
#include "device/installer/messages.hpp"
#include "device/installer/workspace.hpp"

namespace godwit::installer {

/// Receives progress and log lines of the act that runs.
using Emit = std::function<void(const Reply&)>;

class Installer {
 public:
  Installer(const InstallerConfig& config, Log& log) : config_(config), log_(log), workspaces_(config.work_folder()) {}

  /// `request` is open, act, close or restart_device. The reply is an ActOutcome or a Refusal.
  [[nodiscard]] Reply handle(const Request& request, std::stop_token stop, const Emit& emit);

  /// This process ends: an act that is stopped because of it is not written down as ended, so that it runs again.
  void end() { is_ending_.store(true); }

 private:
  [[nodiscard]] Reply open(const OpenRequest& request, std::stop_token stop, const Emit& emit);
  [[nodiscard]] Reply act(const ActRequest& request, std::stop_token stop, const Emit& emit);
  [[nodiscard]] Reply close(const CloseRequest& request);
  [[nodiscard]] Reply restart_device(const RestartDeviceRequest& request, const std::stop_token& stop);

  [[nodiscard]] Result<Plan> make_plan(const struct Verified& verified, const OpenRequest& request,
                                       std::stop_token stop, const Emit& emit, ActOutcome& failure);
  [[nodiscard]] Result<void> bring_files(const ActRequest& request, const PlanStep& step, const Path& folder);
  [[nodiscard]] Result<Path> bring_pieces(const ActRequest& request, const PlanStep& step, const Path& folder) const;
  [[nodiscard]] json::Object call_for(const ActRequest& request, const OpenedWorkflow& workflow, const Path& folder,
                                      const Path& pieces) const;
  [[nodiscard]] Reply run(const ActRequest& request, const OpenedWorkflow& workflow, Journal& journal,
                          std::stop_token stop, const Emit& emit);
  [[nodiscard]] extension::Callbacks callbacks(const Emit& emit, std::string_view source);

  const InstallerConfig& config_;
  Log& log_;
  Workspaces workspaces_;
  std::atomic<bool> is_ending_{false};
};

}  // namespace godwit::installer
