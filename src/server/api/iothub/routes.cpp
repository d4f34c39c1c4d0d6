// The registry surface of the hub that operators and provisioning scripts use.
#include "server/api/iothub/shapes.hpp"
#include "server/api/services.hpp"

namespace godwit::api {

const std::vector<Route>& iothub_routes() {
  using namespace iothub;
  // clang-format off
  static const std::vector<Route> routes{
      {Method::get,     "/devices",                                Permission::registry_read,  list_identities},
      {Method::post,    "/devices",                                Permission::registry_write, change_identities},
      {Method::get,     "/devices/{deviceId}",                     Permission::registry_read,  get_identity},
      {Method::put,     "/devices/{deviceId}",                     Permission::registry_write, put_identity},
      {Method::delete_, "/devices/{deviceId}",                     Permission::registry_write, delete_identity},
      {Method::post,    "/devices/query",                          Permission::hub_read,       query_devices},
      {Method::get,     "/devices/{deviceId}/modules",             Permission::registry_read,  list_modules},
      {Method::get,     "/devices/{deviceId}/modules/{moduleId}",  Permission::registry_read,  get_identity},
      {Method::put,     "/devices/{deviceId}/modules/{moduleId}",  Permission::registry_write, put_identity},
      {Method::delete_, "/devices/{deviceId}/modules/{moduleId}",  Permission::registry_write, delete_identity},
      {Method::get,     "/twins/{deviceId}",                       Permission::hub_read,       get_twin},
      {Method::patch,   "/twins/{deviceId}",                       Permission::hub_write,      patch_twin},
      {Method::put,     "/twins/{deviceId}",                       Permission::hub_write,      put_twin},
      {Method::get,     "/twins/{deviceId}/modules/{moduleId}",    Permission::hub_read,       get_twin},
      {Method::patch,   "/twins/{deviceId}/modules/{moduleId}",    Permission::hub_write,      patch_twin},
      {Method::put,     "/twins/{deviceId}/modules/{moduleId}",    Permission::hub_write,      put_twin},
      {Method::get,     "/statistics/devices",                     Permission::registry_read,  device_statistics},
      {Method::get,     "/statistics/service",                     Permission::hub_read,       service_statistics},
  };
  // clang-format on
  return routes;
}

}  // namespace godwit::api
