// The management family without sockets, for its tests: router, argument checks and real rooms over a real store.
#pragma once

#include "server/api/router.hpp"
#include "server/api/services.hpp"
#include "server/api/test_rig.hpp"
#include "server/service/rollout/rollout_bench.hpp"

namespace godwit::api {

inline constexpr std::string_view kManagementBase = "/deviceUpdate/main/management";

struct ManagementSurface {
  ManagementSurface() {
    router.add(deviceupdate_management_routes());
    router.add(godwit_fleet_routes());
  }

  /// The reply, or the status that the error becomes. `where` is below the family's base unless it begins with
  /// "/godwit".
  Reply send(Method method, std::string where, std::string body = {}, std::map<std::string, std::string> headers = {}) {
    if (!where.starts_with("/godwit"))
      where = std::string(kManagementBase) + where + (where.find('?') == std::string::npos ? "?" : "&") +
              "api-version=2022-10-01";
    return send_whole(method, where, std::move(body), std::move(headers));
  }
  Reply send_whole(Method method, const std::string& where, std::string body = {},
                   std::map<std::string, std::string> headers = {}) {
    const auto target = parse_target(where);
    if (!target) return {.status = 400, .body = target.error().message};
    auto match = router.find(method, *target);
    if (!match) return {.status = match.error().allowed.empty() ? 404 : 405, .body = "no route"};
    Request request{.method = method,
                    .path = target->path,
                    .parameters = match->parameters,
                    .query = target->query,
                    .headers = std::move(headers),
                    .body = std::move(body),
                    .caller = "ann"};
    auto reply = match->handler(request, services);
    if (!reply) return {.status = http_status(reply.error().code), .body = reply.error().message};
    return *std::move(reply);
  }
  Reply get(const std::string& where) { return send(Method::get, where); }
  json::Object object(const std::string& where) {
    const Reply reply = get(where);
    EXPECT_EQ(reply.status, 200) << where << ": " << reply.body;
    auto parsed = json::parse_object(reply.body);
    return parsed ? *std::move(parsed) : json::Object{};
  }
  std::size_t size(const std::string& where) {
    const auto found = object(where);
    return found.contains("value") ? found.at("value").as_array().size() : 999;
  }
  Reply put(std::string_view id, std::string_view version, std::string_view start = "2025-12-31T00:00:00Z",
            std::string_view more = "") {
    const std::string text(id);
    return send(Method::put, "/groups/plant/deployments/" + text,
                R"({"deploymentId":")" + text + R"(","groupId":"plant","startDateTime":")" + std::string(start) +
                    R"(","update":{"updateId":{"provider":"Contoso","name":"Toaster","version":")" +
                    std::string(version) + "\"}}" + std::string(more) + "}");
  }

  service::RolloutBench bench;
  Router router;
  Services services{.clock = bench.clock,
                    .log = bench.log,
                    .store = *bench.store,
                    .blobs = never_called<blobs::Blobs>(),
                    .registry = never_called<hub::Registry>(),
                    .importer = never_called<service::Importer>(),
                    .catalog = bench.catalog,
                    .inventory = bench.inventory,
                    .rollout = bench.rollout,
                    .urls = bench.urls,
                    .hub_name = "hub",
                    .instance_id = "main"};
};

}  // namespace godwit::api
