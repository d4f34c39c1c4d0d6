// What the service carries between devices and others besides twins, put together: telemetry to its listeners, the
// doors by which REST reaches the hub, scheduled jobs. Main thread only.
#pragma once

#include <memory>

#include "apps/godwitd/config.hpp"
#include "core/base/log.hpp"
#include "server/api/services.hpp"
#include "server/api/telemetry/feed.hpp"
#include "server/api/telemetry/webhook.hpp"
#include "server/hub/hub.hpp"
#include "server/hub/jobs/scheduled_jobs.hpp"

namespace godwit::daemon {

/// The feed, and the webhook if one is configured. Destroyed in the order that is safe.
struct Telemetry {
  std::unique_ptr<api::HttpPost> post;
  std::unique_ptr<api::Webhook> webhook;
  std::unique_ptr<api::TelemetryFeed> feed;

  void start() const;
};
/// Errors: not_found, io_failed (the token file).
[[nodiscard]] Result<Telemetry> make_telemetry(const Config& config, Clock& clock, Log& log);

[[nodiscard]] api::HubDoors hub_doors(hub::Hub& hub);

/// Which devices a condition means. Inside a transaction.
[[nodiscard]] hub::jobs::JobPorts job_ports(hub::Hub& hub, Clock& clock);

}  // namespace godwit::daemon
