#include "server/service/inventory/lookup.hpp"

#include "server/service/catalog/catalog.hpp"
#include "server/service/inventory/result_json.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kClassChunk = 500;

}  // namespace

Result<json::Object> Lookup::info(const UpdateId& id) {
  if (const auto known = infos_.find(id); known != infos_.end()) return known->second;
  GODWIT_TRY(const auto summary, records_.catalog().find_summary(id));
  json::Object info;
  if (summary)
    info = update_info(*summary);
  else
    info["updateId"] = id.to_json();
  return infos_.emplace(id, std::move(info)).first->second;
}

Result<const std::vector<store::UpdateSummary>*> Lookup::deployable() {
  if (!deployable_) {
    GODWIT_TRY(deployable_, records_.catalog().list_deployable());
  }
  return &*deployable_;
}

Result<const BestUpdates*> Lookup::best() {
  if (best_) return &*best_;
  GODWIT_TRY(const auto* updates, deployable());
  BestUpdates best;
  std::string after;
  for (;;) {
    GODWIT_TRY(const auto classes, records_.fleet().list_classes(std::nullopt, after, kClassChunk));
    for (const store::FleetClass& one : classes)
      if (auto fitting = installable(one.value.compatibility, *updates); !fitting.empty())
        best.emplace(one.id, std::move(fitting.front()));
    if (classes.size() < kClassChunk) break;
    after = classes.back().id.str();
  }
  best_ = std::move(best);
  return &*best_;
}

Result<std::optional<store::UpdateSummary>> Lookup::best_of(const DeviceClassId& id) {
  GODWIT_TRY(const BestUpdates* all, best());
  const auto found = all->find(id);
  return found == all->end() ? std::nullopt : std::optional(found->second);
}

Result<std::vector<store::UpdateSummary>> Lookup::installable_for(const DeviceClassId& id) {
  GODWIT_TRY(const auto found, records_.fleet().find_class(id));
  GODWIT_TRY(const auto* updates, deployable());
  if (!found) return std::vector<store::UpdateSummary>{};
  return installable(found->value.compatibility, *updates);
}

void put_identity(json::Object& object, const IdentityId& id) {
  object["deviceId"] = id.device_text();
  if (id.is_module()) object["moduleId"] = id.module_text();
}

Result<json::Object> device_json(const store::FleetDevice& device, Lookup& lookup) {
  json::Object object;
  put_identity(object, device.id);
  if (device.class_id) object["deviceClassId"] = device.class_id->str();
  object["groupId"] = device.group.str();
  if (device.attempted) {
    GODWIT_TRY(object["lastAttemptedUpdate"], lookup.info(*device.attempted));
  }
  if (device.state) object["deploymentStatus"] = std::string(device_state_name(*device.state));
  bool on_latest = false;
  if (device.installed) {
    GODWIT_TRY(object["installedUpdate"], lookup.info(*device.installed));
  }
  if (device.class_id) {
    GODWIT_TRY(const auto best, lookup.best_of(*device.class_id));
    on_latest = !best || device.installed == best->id;
  }
  object["onLatestUpdate"] = on_latest;
  if (!device.last_deployment_id.empty()) object["lastDeploymentId"] = device.last_deployment_id;
  GODWIT_TRY(const auto result, read_result(device.result_json));
  if (result) object["lastInstallResult"] = api_result(*result);
  return object;
}

}  // namespace godwit::service
