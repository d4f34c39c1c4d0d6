// Devices, their health, device classes and device syncs as the API shows them.
#include <algorithm>

#include "core/model/text.hpp"
#include "server/service/catalog/catalog.hpp"
#include "server/service/inventory/inventory.hpp"
#include "server/service/inventory/lookup.hpp"
#include "server/service/inventory/placement.hpp"
#include "server/service/inventory/result_json.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kFriendlyNameLimit = 100;

json::Object health_json(const store::FleetDevice& device) {
  json::Object object;
  put_identity(object, device.id);
  object["state"] = device.class_id ? "healthy" : "unhealthy";
  if (!device.model_id.empty()) object["digitalTwinModelId"] = device.model_id;
  json::Array checks;
  for (const std::string_view name : health_check::all) {
    json::Object check;
    check["name"] = std::string(name);
    const bool has_failed = name == device.failed_check;
    check["result"] = has_failed ? "userError" : "success";
    checks.emplace_back(std::move(check));
    if (has_failed) break;  // the checks run in this order; later ones were not reached
  }
  object["healthChecks"] = std::move(checks);
  if (!device.health_problem.empty()) object["godwit"] = json::Object{{"problem", device.health_problem}};
  return object;
}

Result<json::Object> class_json(const store::FleetClass& value, Lookup& lookup) {
  json::Object object;
  object["deviceClassId"] = value.id.str();
  if (!value.friendly_name.empty()) object["friendlyName"] = value.friendly_name;
  json::Object contract;
  contract["id"] = contract_model_id(value.value.contract);
  contract["name"] = contract_model_name(value.value.contract);
  json::Object properties;
  properties["contractModel"] = std::move(contract);
  properties["compatProperties"] = to_json(value.value.compatibility);
  object["deviceClassProperties"] = std::move(properties);
  GODWIT_TRY(const auto best, lookup.best_of(value.id));
  if (best) object["bestCompatibleUpdate"] = update_info(*best);
  return object;
}

json::Object operation_json(const store::FleetOperation& operation) {
  json::Object object;
  object["operationId"] = operation.id;
  object["status"] = std::string(store::operation_status_name(operation.status));
  if (!operation.error_code.empty())
    object["error"] = json::Object{{"code", operation.error_code}, {"message", operation.error_message}};
  object["lastActionDateTime"] = management_time(operation.last_action);
  object["createdDateTime"] = management_time(operation.created);
  object["etag"] = "\"" + operation.id + "-" + std::to_string(operation.etag) + "\"";
  return object;
}

}  // namespace

Result<json::Object> Inventory::describe_device(const IdentityId& id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY(const auto device, records.fleet().find_device(id));
    if (!device) return fail(Code::not_found, "there is no device '" + id.str() + "'");
    if (!device->class_id)
      return fail(Code::not_found, "device '" + id.str() + "' cannot be updated yet: " + device->health_problem);
    Lookup lookup(records);
    return device_json(*device, lookup);
  });
}

Result<FleetPage> Inventory::list_devices(store::FleetFilter filter, const std::string& token) const {
  return snapshot<FleetPage>(store_, [&](store::Records& records) -> Result<FleetPage> {
    filter.is_healthy = true;
    GODWIT_TRY(const auto devices, records.fleet().list_devices(filter, token, kFleetPageSize));
    Lookup lookup(records);
    FleetPage page;
    for (const store::FleetDevice& device : devices) {
      GODWIT_TRY(auto object, device_json(device, lookup));
      page.values.emplace_back(std::move(object));
    }
    if (devices.size() == kFleetPageSize) page.next_token = devices.back().id.str();
    return page;
  });
}

Result<FleetPage> Inventory::list_health(const HealthFilter& filter, const std::string& token) const {
  return snapshot<FleetPage>(store_, [&](store::Records& records) -> Result<FleetPage> {
    FleetPage page;
    GODWIT_TRY(const auto devices,
               records.fleet().list_devices({.is_healthy = filter.is_healthy, .device = filter.device}, token,
                                            kFleetPageSize));
    for (const store::FleetDevice& device : devices) page.values.emplace_back(health_json(device));
    if (devices.size() == kFleetPageSize) page.next_token = devices.back().id.str();
    return page;
  });
}

Result<json::Object> Inventory::describe_class(const DeviceClassId& id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY(const auto found, need_class(records, id));
    Lookup lookup(records);
    return class_json(found, lookup);
  });
}

Result<FleetPage> Inventory::list_classes(const std::optional<std::string>& friendly_name,
                                          const std::string& token) const {
  return snapshot<FleetPage>(store_, [&](store::Records& records) -> Result<FleetPage> {
    GODWIT_TRY(const auto classes, records.fleet().list_classes(friendly_name, token, kFleetPageSize));
    Lookup lookup(records);
    FleetPage page;
    for (const store::FleetClass& one : classes) {
      GODWIT_TRY(auto object, class_json(one, lookup));
      page.values.emplace_back(std::move(object));
    }
    if (classes.size() == kFleetPageSize) page.next_token = classes.back().id.str();
    return page;
  });
}

Result<json::Object> Inventory::rename_class(const DeviceClassId& id, const std::string& name,
                                             const std::string& actor) {
  const auto is_allowed = [](char c) { return is_ascii_alphanumeric(c) || c == '.' || c == '-'; };
  if (name.empty() || name.size() > kFriendlyNameLimit || !std::all_of(name.begin(), name.end(), is_allowed))
    return fail(Code::invalid_argument, "friendlyName must have 1 to 100 letters, digits, '.' or '-'");
  const auto rename = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto found, need_class(records, id));
    found.friendly_name = name;
    GODWIT_TRY_VOID(records.fleet().save_class(found));
    return audit(records, actor, "class.renamed", id.str());
  };
  GODWIT_TRY_VOID(store_.write(rename));
  return describe_class(id);
}

Result<void> Inventory::remove_class(const DeviceClassId& id, const std::string& actor) {
  return store_.write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto found, need_class(records, id));
    GODWIT_TRY(const auto subgroups, records.fleet().list_subgroups(std::nullopt, found.id));
    if (!subgroups.empty())
      return fail(Code::conflict, "device class " + id.str() + " is used by " + std::to_string(subgroups.size()) +
                                      " subgroup(s), the first in group '" + subgroups.front().group.str() +
                                      "'; delete them first");
    GODWIT_TRY(const bool was_there, records.fleet().remove_class(id));
    if (!was_there) return fail(Code::not_found, "there is no device class '" + id.str() + "'");
    return audit(records, actor, "class.deleted", id.str());
  });
}

Result<FleetPage> Inventory::installable_updates(const DeviceClassId& id) const {
  return snapshot<FleetPage>(store_, [&](store::Records& records) -> Result<FleetPage> {
    GODWIT_TRY(const auto found, need_class(records, id));
    Lookup lookup(records);
    GODWIT_TRY(const auto updates, lookup.installable_for(found.id));
    FleetPage page;
    for (const store::UpdateSummary& update : updates) page.values.emplace_back(update_info(update));
    return page;
  });
}

Result<json::Object> Inventory::describe_operation(const std::string& id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY(const auto operation, records.fleet().find_operation(id));
    if (!operation) return fail(Code::not_found, "there is no operation '" + id.substr(0, 256) + "'");
    return operation_json(*operation);
  });
}

Result<FleetPage> Inventory::list_operations(bool only_unfinished, std::size_t top) const {
  return snapshot<FleetPage>(store_, [&](store::Records& records) -> Result<FleetPage> {
    GODWIT_TRY(const auto operations, records.fleet().list_operations(only_unfinished, std::min(top, kFleetPageSize)));
    FleetPage page;
    for (const store::FleetOperation& operation : operations) page.values.emplace_back(operation_json(operation));
    return page;
  });
}

}  // namespace godwit::service
