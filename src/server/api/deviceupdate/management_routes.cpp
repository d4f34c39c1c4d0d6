// The management family of the Device Update API, version 2022-10-01, as one table.
#include "server/api/deviceupdate/management_handlers.hpp"
#include "server/api/services.hpp"

// A pattern is one literal; these only keep the table readable.
#define MANAGEMENT "/deviceUpdate/{instanceId}/management"
#define GROUP MANAGEMENT "/groups/{groupId}"
#define SUBGROUP GROUP "/deviceClassSubgroups/{deviceClassId}"

namespace godwit::api {

const std::vector<Route>& deviceupdate_management_routes() {
  using enum Method;
  using namespace management;
  constexpr Permission kRead = Permission::management_read;
  constexpr Permission kWrite = Permission::management_write;
  constexpr Permission kDelete = Permission::management_delete;
  static const std::vector<Route> routes{
      {get, MANAGEMENT "/deviceClasses", kRead, list_classes},
      {get, MANAGEMENT "/deviceClasses/{deviceClassId}", kRead, get_class},
      {patch, MANAGEMENT "/deviceClasses/{deviceClassId}", kWrite, rename_class},
      {delete_, MANAGEMENT "/deviceClasses/{deviceClassId}", kDelete, delete_class},
      {get, MANAGEMENT "/deviceClasses/{deviceClassId}/installableUpdates", kRead, list_installable},

      {get, MANAGEMENT "/devices", kRead, list_devices},
      {post, MANAGEMENT "/devices:import", kWrite, import_devices},
      {get, MANAGEMENT "/devices/{deviceId}", kRead, get_device},
      {get, MANAGEMENT "/devices/{deviceId}/modules/{moduleId}", kRead, get_device},
      {get, MANAGEMENT "/operations", kRead, list_operations},
      {get, MANAGEMENT "/operations/{operationId}", kRead, get_operation},
      {get, MANAGEMENT "/deviceDiagnostics/deviceHealth", kRead, list_health},

      {get, "/deviceUpdate/{instanceId}/limits", kRead, get_limits},
      {get, MANAGEMENT "/updateCompliance", kRead, instance_compliance},
      {get, MANAGEMENT "/groups", kRead, list_groups},
      {get, GROUP, kRead, get_group},
      {delete_, GROUP, kDelete, delete_group},
      {get, GROUP "/updateCompliance", kRead, group_compliance},
      {get, GROUP "/bestUpdates", kRead, list_best_updates},

      {get, GROUP "/deployments", kRead, list_deployments},
      {get, GROUP "/deployments/{deploymentId}", kRead, get_deployment},
      {put, GROUP "/deployments/{deploymentId}", kWrite, put_deployment},
      {delete_, GROUP "/deployments/{deploymentId}", kDelete, delete_deployment},
      {get, GROUP "/deployments/{deploymentId}/status", kRead, get_status},

      {get, GROUP "/deviceClassSubgroups", kRead, list_subgroups},
      {get, SUBGROUP, kRead, get_subgroup},
      {delete_, SUBGROUP, kDelete, delete_subgroup},
      {get, SUBGROUP "/updateCompliance", kRead, subgroup_compliance},
      {get, SUBGROUP "/bestUpdates", kRead, get_best_update},
      {get, SUBGROUP "/deployments", kRead, list_subgroup_deployments},
      {get, SUBGROUP "/deployments/{deploymentId}", kRead, get_subgroup_deployment},
      {delete_, SUBGROUP "/deployments/{deploymentId}", kDelete, delete_subgroup_deployment},
      {post, SUBGROUP "/deployments/{deploymentId}:cancel", kWrite, cancel_subgroup_deployment},
      {post, SUBGROUP "/deployments/{deploymentId}:retry", kWrite, retry_subgroup_deployment},
      {get, SUBGROUP "/deployments/{deploymentId}/status", kRead, get_subgroup_status},
      {get, SUBGROUP "/deployments/{deploymentId}/devicestates", kRead, list_device_states},
  };
  return routes;
}

}  // namespace godwit::api

#undef SUBGROUP
#undef GROUP
#undef MANAGEMENT
