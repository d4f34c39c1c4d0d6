// The whole surface of the API in one place.
#include "server/api/console/console_files.hpp"
#include "server/api/metrics.hpp"
#include "server/api/openapi/description.hpp"
#include "server/api/server.hpp"
#include "server/api/transfer.hpp"

namespace godwit::api {
namespace {

/// The process answers. Says nothing about what it stands on; see ready().
Result<Reply> healthy(const Request&, Services&) {
  json::Object body;
  body["status"] = "ok";
  return Reply::json(std::move(body));
}

/// Requests will be served: the store can be read, and nothing else speaks against it (a store that takes no writes, a
/// disk that is nearly full).
Result<Reply> ready(const Request&, Services& services) {
  const auto job = [](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto count, records.devices().count_identities());
    static_cast<void>(count);
    return {};
  };
  if (const auto read = services.store.read(job); !read)
    return fail(Code::unavailable, "not ready: the store cannot be read: " + read.error().message);
  if (const std::string reason = services.why_not_ready ? services.why_not_ready() : ""; !reason.empty())
    return fail(Code::unavailable, "not ready: " + reason);
  json::Object body;
  body["status"] = "ready";
  return Reply::json(std::move(body));
}

/// For `godwit-agent enrol`, which has no token yet.
Result<Reply> enrolment(const Request&, Services& services) {
  if (!services.enrolment) return fail(Code::not_found, "this instance enrols no devices; the first one does");
  GODWIT_TRY(auto facts, services.enrolment());
  return Reply::json(std::move(facts));
}

const std::vector<Route>& own_routes() {
  static const std::vector<Route> routes{
      {Method::get, "/healthz", Permission::none, healthy},
      {Method::get, "/readyz", Permission::none, ready},
      {Method::get, "/enrolment", Permission::none, enrolment},
      {Method::get, "/godwit/v1/{instanceId}/blobs/{sha256}", Permission::updates_read, describe_blob},
      {Method::get, "/godwit/v1/{instanceId}/blobs/{sha256}/upload", Permission::updates_read, describe_upload},
      {Method::delete_, "/godwit/v1/{instanceId}/blobs/{sha256}/upload", Permission::updates_write, drop_upload},
  };
  return routes;
}

}  // namespace

Router make_router(bool has_open_metrics) {
  Router router;
  router.add(own_routes());
  router.add(
      {{Method::get, "/metrics", has_open_metrics ? Permission::none : Permission::management_read, get_metrics}});
  router.add({{Method::get, "/i/{instanceId}/metrics",
               has_open_metrics ? Permission::none : Permission::management_read, get_metrics}});
  router.add(openapi_routes());
  router.add(console_routes());
  router.add(deviceupdate_updates_routes());
  router.add(deviceupdate_management_routes());
  router.add(iothub_routes());
  router.add(provisioning_routes());
  router.add(godwit_routes());
  router.add(godwit_policy_routes());
  router.add(godwit_token_routes());
  router.add(log_routes());
  router.add(godwit_certificate_routes());
  router.add(iothub_message_routes());
  router.add(godwit_hub_routes());
  router.add(godwit_tag_routes());
  router.add(godwit_fleet_routes());
  router.add(godwit_blob_routes());
  router.add(godwit_pulse_routes());
  router.add_stream(Method::put, "/godwit/v1/{instanceId}/blobs/{sha256}", Permission::updates_write, Stream::upload);
  router.add_stream(Method::get, "/download/{sha256}/{filename}", Permission::none, Stream::download);
  router.add_stream(Method::get, "/i/{instanceId}/download/{sha256}/{filename}", Permission::none, Stream::download);
  router.add_stream(Method::put, "/i/{instanceId}/device-logs/{container}/{blob...}", Permission::none,
                    Stream::log_upload);
  router.add_stream(Method::get, "/i/{instanceId}/rootkeys/{file}", Permission::none, Stream::root_key_package);
  // The query is the credential, as with a storage container.
  router.add_stream(Method::put, "/device-logs/{container}/{blob...}", Permission::none, Stream::log_upload);
  router.add_stream(Method::get, "/godwit/v1/{instanceId}/logCollections/{operationId}/files/{fileId}",
                    Permission::management_read, Stream::log_file);
  router.add_stream(Method::get, "/rootkeys/{file}", Permission::none, Stream::root_key_package);
  // No permission: the device says who it is in CONNECT, as on the hub's own port.
  router.add_stream(Method::get, "/$iothub/websocket", Permission::none, Stream::websocket);
  return router;
}

}  // namespace godwit::api
