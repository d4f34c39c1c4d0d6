// One instance of the service: its records, payloads, hub and rooms, put together from its configuration and its
// folder. Instances share the process, its ports, certificates and signing keys, and nothing else: what one holds
// cannot be named in another. Built, started and stopped by run(), on the main thread.
#pragma once

#include <memory>
#include <string>

#include "apps/godwitd/config.hpp"
#include "apps/godwitd/importing.hpp"
#include "apps/godwitd/layout.hpp"
#include "apps/godwitd/messaging.hpp"
#include "apps/godwitd/observer.hpp"
#include "apps/godwitd/readiness.hpp"
#include "server/api/access.hpp"
#include "server/api/policies.hpp"
#include "server/api/pulse.hpp"
#include "server/api/services.hpp"
#include "server/blobs/blobs.hpp"
#include "server/hub/hub.hpp"
#include "server/hub/jobs/scheduled_jobs.hpp"
#include "server/net/tls.hpp"
#include "server/service/catalog/catalog.hpp"
#include "server/service/diagnostics/log_collections.hpp"
#include "server/service/download_urls.hpp"
#include "server/service/inventory/inventory.hpp"
#include "server/service/rollout/rollout.hpp"

namespace godwit::daemon {

/// What instances share. Outlives them.
struct Premises {
  const Layout& layout;  // of the installation
  const net::TlsContext& device_tls;
  std::int64_t root_key_package = 1;  // its version
  std::uint16_t hub_port = 0;
  std::string base_url{};  // of links
  Clock& clock;
  Log& log;
};

class Instance {
 public:
  /// `first`: the one whose hub listens and whose tokens may open the others. Errors: what the files say.
  [[nodiscard]] static Result<std::unique_ptr<Instance>> open(const Config& config, const Layout& layout,
                                                              const Premises& premises, Instance* first);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  /// Background work begins; the hub with start_hub(), after those of the others.
  void start();
  [[nodiscard]] Result<void> start_hub() { return hub_.start(); }
  /// Streams for listeners end, so that the rim can.
  void stop_streams() {
    telemetry_.feed->stop();
    pulse_.stop();
  }
  /// The rest, once no request runs any more.
  void stop();

  [[nodiscard]] const std::string& id() const { return services_.instance_id; }
  [[nodiscard]] hub::Hub& hub() { return hub_; }
  [[nodiscard]] api::Services& services() { return services_; }
  [[nodiscard]] api::Access& access() { return access_; }
  [[nodiscard]] std::string why_not_ready() { return readiness_.why_not(); }

 private:
  struct Parts;
  Instance(const Config& config, const Layout& layout, const Premises& premises, Instance* first, Parts parts);
  [[nodiscard]] Result<void> finish();

  std::unique_ptr<store::Store> store_;
  std::unique_ptr<blobs::Blobs> blobs_;
  Telemetry telemetry_;
  ServiceObserver observer_;
  hub::Options hub_options_;
  hub::Hub hub_;
  service::UploadUrls upload_urls_;
  service::DownloadUrls urls_;
  service::Catalog catalog_;
  service::Inventory inventory_;
  std::unique_ptr<Importing> importing_;
  service::Rollout rollout_;
  service::LogCollections logs_;
  hub::jobs::ScheduledJobs jobs_;
  api::Policies policies_;
  api::Pulse pulse_;
  Readiness readiness_;
  api::Access access_;
  api::Services services_;
};

}  // namespace godwit::daemon
