// Everything a route handler may use; built once in apps/godwitd. References outlive the server.
#pragma once

#include <functional>
#include <memory>

#include "core/base/clock.hpp"
#include "core/base/log.hpp"
#include "server/api/http.hpp"
#include "server/api/iothub/device_jobs.hpp"
#include "server/api/iothub/wide_queries.hpp"
#include "server/blobs/blobs.hpp"
#include "server/hub/hub.hpp"
#include "server/store/store.hpp"

namespace godwit::hub::jobs {
class ScheduledJobs;
}
namespace godwit::service {
class Importer;
class Catalog;
class Inventory;
class Rollout;
class DownloadUrls;
class BlobCheck;
class LogCollections;
}  // namespace godwit::service

namespace godwit::api {

class Access;
class ConsoleFiles;  // console/console_files.hpp
class Metrics;       // metrics.hpp
class Policies;
class Pulse;          // pulse.hpp
class TelemetryFeed;  // telemetry/feed.hpp
class Webhook;        // telemetry/webhook.hpp

/// What handlers ask of the hub besides its registry.
struct HubDoors {
  std::function<void(hub::MethodCall call, hub::MethodDone done)> invoke{};
  std::function<hub::Counters()> counters{};
  const hub::CloudMessages* messages = nullptr;
};

/// Deltas that imports made since the start.
struct DeltaFigures {
  std::uint64_t made = 0;
  std::uint64_t dropped = 0;
  std::uint64_t saved_bytes = 0;
};
/// What scanners have said since the start, see service::ScanCounts.
struct ScanFigures {
  std::uint64_t clean = 0, infected = 0, not_scanned = 0, failed = 0;
  double seconds = 0;
};

/// The root key package, which anybody may fetch at /rootkeys/rootkeypackage-VERSION.json. Under the names of earlier
/// versions the newest is answered: devices were told of them, and a newer one serves them as well.
struct PublishedRootKeys {
  std::int64_t version = 1;
  std::string document{};
  WallTime published{};
  std::optional<WallTime> expires{};
};

struct Services {
  Clock& clock;
  Log& log;
  store::Store& store;
  blobs::Blobs& blobs;
  hub::Registry& registry;
  service::Importer& importer;
  service::Catalog& catalog;
  service::Inventory& inventory;
  service::Rollout& rollout;
  service::DownloadUrls& urls;
  HubDoors hub{};
  TelemetryFeed* telemetry = nullptr;
  Webhook* webhook = nullptr;
  Pulse* pulse = nullptr;  // null in tests that do without
  hub::jobs::ScheduledJobs* jobs = nullptr;
  service::BlobCheck* blob_check = nullptr;  // null in tests that do without
  Policies* policies = nullptr;              // null in tests that do without
  Access* access = nullptr;                  // to forget tokens that were revoked
  service::LogCollections* logs = nullptr;
  const ConsoleFiles* console = nullptr;  // null: this installation has none
  Metrics* metrics = nullptr;             // what the rim has counted
  std::function<std::size_t()> queued_requests{};
  std::function<ScanFigures()> scans{};
  std::function<DeltaFigures()> deltas{};
  /// Why the service should get no requests now, or "". Blocks.
  std::function<std::string()> why_not_ready{};
  const PublishedRootKeys* root_keys = nullptr;  // null in tests that do without
  std::string hub_name;                          // as in SAS scopes and user names
  std::string instance_id;
  bool is_further = false;     // beside the first instance, whose tokens may open this one as well
  std::string id_scope{};      // of provisioning
  std::string assigned_hub{};  // the host that provisioned devices are told to dial
  /// What a device must know before it can trust this service: nothing of it is secret, and its CA is what the device
  /// was given the fingerprint of. Empty where devices are not enrolled. Blocks.
  std::function<Result<json::Object>()> enrolment{};
  /// Tries the certificates of live connections again; after authorities or revocation lists changed.
  std::function<void()> recheck_certificates{};
  iothub::DeviceJobs device_jobs{};  // what FROM devices.jobs reads; empty: there are no jobs
  std::unique_ptr<iothub::WideQueries> wide_queries = std::make_unique<iothub::WideQueries>();
};

/// The tables that make up the surface; each lives in its own folder.
[[nodiscard]] const std::vector<Route>& deviceupdate_updates_routes();     // deviceupdate/updates_routes.cpp
[[nodiscard]] const std::vector<Route>& deviceupdate_management_routes();  // deviceupdate/management_routes.cpp
[[nodiscard]] const std::vector<Route>& iothub_routes();                   // iothub/routes.cpp
[[nodiscard]] const std::vector<Route>& godwit_policy_routes();            // godwit/policy_routes.cpp
[[nodiscard]] const std::vector<Route>& godwit_token_routes();             // godwit/token_routes.cpp
[[nodiscard]] const std::vector<Route>& log_routes();                      // godwit/log_routes.cpp
[[nodiscard]] const std::vector<Route>& provisioning_routes();             // provisioning/routes.cpp
[[nodiscard]] const std::vector<Route>& godwit_routes();                   // godwit/routes.cpp
[[nodiscard]] const std::vector<Route>& godwit_certificate_routes();       // godwit/certificate_routes.cpp
[[nodiscard]] const std::vector<Route>& iothub_message_routes();           // iothub/message_routes.cpp
[[nodiscard]] const std::vector<Route>& godwit_hub_routes();    // godwit/hub_routes.cpp: what the hub adds of its own
[[nodiscard]] const std::vector<Route>& godwit_tag_routes();    // godwit/tag_devices.cpp
[[nodiscard]] const std::vector<Route>& godwit_fleet_routes();  // godwit/fleet_routes.cpp: whole-group verbs, rich
                                                                // device answers
[[nodiscard]] const std::vector<Route>& godwit_pulse_routes();  // godwit/pulse_routes.cpp: what pages that stay open
                                                                // ask
[[nodiscard]] const std::vector<Route>& godwit_blob_routes();   // godwit/blob_routes.cpp: the payload store

}  // namespace godwit::api
