// The whole surface of the API in one place.
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

/// The store can be read: requests will be served.
Result<Reply> ready(const Request&, Services& services) {
  const auto job = [](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto count, records.devices().count_identities());
    static_cast<void>(count);
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  json::Object body;
  body["status"] = "ready";
  return Reply::json(std::move(body));
}

const std::vector<Route>& own_routes() {
  static const std::vector<Route> routes{
      {Method::get, "/healthz", Permission::none, healthy},
      {Method::get, "/readyz", Permission::none, ready},
      {Method::get, "/godwit/v1/{instanceId}/blobs/{sha256}", Permission::updates_read, describe_blob},
  };
  return routes;
}

}  // namespace

Router make_router(const std::string& instance_id) {
  Router router(instance_id);
  router.add(own_routes());
  router.add(deviceupdate_updates_routes());
  router.add(deviceupdate_management_routes());
  router.add(iothub_routes());
  router.add(provisioning_routes());
  router.add(godwit_routes());
  router.add(godwit_policy_routes());
  router.add(godwit_token_routes());
  router.add(godwit_certificate_routes());
  router.add(iothub_message_routes());
  router.add(godwit_hub_routes());
  router.add(godwit_tag_routes());
  router.add(godwit_fleet_routes());
  router.add_stream(Method::put, "/godwit/v1/{instanceId}/blobs/{sha256}", Permission::updates_write, Stream::upload);
  router.add_stream(Method::get, "/download/{sha256}/{filename}", Permission::none, Stream::download);
  router.add_stream(Method::get, "/rootkeys/{file}", Permission::none, Stream::root_key_package);
  // No permission: the device says who it is in CONNECT, as on the hub's own port.
  router.add_stream(Method::get, "/$iothub/websocket", Permission::none, Stream::websocket);
  return router;
}

}  // namespace godwit::api
