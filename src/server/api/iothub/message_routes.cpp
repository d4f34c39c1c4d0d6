// The hub's routes beside registry and twins: methods, messages for devices, scheduled jobs.
#include "server/api/iothub/shapes.hpp"
#include "server/api/services.hpp"

namespace godwit::api {

const std::vector<Route>& iothub_message_routes() {
  using namespace iothub;
  static const std::vector<Route> routes{
      {Method::post, "/twins/{deviceId}/methods", Permission::hub_write, invoke_method},
      {Method::post, "/twins/{deviceId}/modules/{moduleId}/methods", Permission::hub_write, invoke_method},
      {Method::post, "/devices/{deviceId}/messages/devicebound", Permission::hub_write, send_message},
      {Method::delete_, "/devices/{deviceId}/commands", Permission::hub_write, purge_messages},
      {Method::get, "/messages/servicebound/feedback", Permission::hub_read, get_feedback},
      {Method::delete_, "/messages/servicebound/feedback/{lockToken}", Permission::hub_write, complete_feedback},
      {Method::put, "/jobs/v2/{jobId}", Permission::hub_write, put_job},
      {Method::get, "/jobs/v2/{jobId}", Permission::hub_read, get_job},
      {Method::get, "/jobs/v2/query", Permission::hub_read, query_jobs},
      {Method::post, "/jobs/v2/{jobId}/cancel", Permission::hub_write, cancel_job},
  };
  return routes;
}

}  // namespace godwit::api
