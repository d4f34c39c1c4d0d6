// What pages that stay open ask: when something changed, and how many devices were connected over the last day.
#include "server/api/pulse.hpp"
#include "server/api/services.hpp"

namespace godwit::api {
namespace {

[[nodiscard]] Result<Pulse*> pulse_of(const Services& services) {
  if (services.pulse == nullptr) return fail(Code::unavailable, "changes are not watched here");
  return services.pulse;
}

Result<std::shared_ptr<EventQueue>> open_events(const Request&, Services& services) {
  GODWIT_TRY(auto* const pulse, pulse_of(services));
  return pulse->subscribe();
}

Result<Reply> connection_history(const Request&, Services& services) {
  GODWIT_TRY(auto* const pulse, pulse_of(services));
  json::Array points;
  for (const Pulse::Sample& one : pulse->online())
    points.emplace_back(json::Object{{"time", format_time(one.time)}, {"connectedDeviceCount", one.devices}});
  return Reply::json(json::Object{{"value", std::move(points)}});
}

}  // namespace

const std::vector<Route>& godwit_pulse_routes() {
  static const std::vector<Route> routes{
      {Method::get, "/godwit/v1/{instanceId}/events", Permission::management_read, open_events},
      {Method::get, "/godwit/v1/{instanceId}/hub/connectionHistory", Permission::hub_read, connection_history},
  };
  return routes;
}

}  // namespace godwit::api
