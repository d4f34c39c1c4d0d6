// Carries what the hub sees to the service: the one place where the two meet. Writer thread, see hub/ports.hpp.
#pragma once

#include "server/hub/ports.hpp"
#include "server/service/diagnostics/log_collections.hpp"
#include "server/service/rollout/rollout.hpp"

namespace godwit::daemon {

/// The service deploys to devices and to modules that are update agents, and collects logs of both.
class ServiceObserver final : public hub::TwinObserver {
 public:
  /// Both before the hub starts; they need the hub's registry, so they cannot be there at construction.
  void set_rollout(service::Rollout& rollout) { rollout_ = &rollout; }
  void set_logs(service::LogCollections& logs) { logs_ = &logs; }

  Result<void> on_created(store::Records& records, const IdentityId& id) override {
    return rollout_->on_device_created(records, id);
  }
  Result<void> on_removed(store::Records& records, const IdentityId& id) override {
    GODWIT_TRY_VOID(logs_->on_removed(records, id));
    return rollout_->on_device_removed(records, id);
  }
  Result<void> on_reported(store::Records& records, const IdentityId& id, const twin::Twin& twin,
                           const json::Object& patch) override {
    GODWIT_TRY_VOID(logs_->on_reported(records, id, patch));
    return rollout_->on_twin_changed(records, id, twin, patch);
  }
  Result<void> on_tags(store::Records& records, const IdentityId& id, const twin::Twin& twin) override {
    return rollout_->on_tags(records, id, twin);
  }
  Result<void> on_model(store::Records& records, const IdentityId& id, const std::string& model_id) override {
    return rollout_->on_connected(records, id, model_id);
  }

 private:
  service::Rollout* rollout_ = nullptr;
  service::LogCollections* logs_ = nullptr;
};

}  // namespace godwit::daemon
