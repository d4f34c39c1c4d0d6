// Goals: carries the planner's decision about one device out. Gathers its facts, writes rows, and tells the hub through
// SetDesired what the device should be. Works inside a transaction of the store, one thread at a time.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/base/clock.hpp"
#include "core/twin/dialect.hpp"
#include "server/service/catalog/catalog.hpp"
#include "server/service/download_urls.hpp"
#include "server/service/ports.hpp"
#include "server/service/rollout/planner.hpp"

namespace godwit::service {

inline constexpr std::string_view kCannotOfferUpdate = "CannotOfferUpdate";  // why a subgroup's deployment failed

/// What all devices of one subgroup are offered; made once per chunk.
struct PreparedOffer {
  store::DeploymentRecord deployment;
  ContractModel contract = ContractModel::v3;
  Offer offer{};
};
using OfferCache = std::map<std::pair<std::int64_t, DeviceClassId>, PreparedOffer>;

class Goals {
 public:
  Goals(Clock& clock, const Catalog& catalog, const DownloadUrls& urls, SetDesired set_desired,
        std::int64_t root_key_package_version, Deadlines deadlines)
      : clock_(clock),
        catalog_(catalog),
        urls_(urls),
        set_desired_(std::move(set_desired)),
        root_key_package_version_(root_key_package_version),
        deadlines_(deadlines) {}

  /// A row that has become Failed by what was done; nullopt: none has.
  using Failed = std::optional<store::DeploymentDevice>;

  /// What an operator asked of the device. `stamp`: of a retry; the same for all that are retried together.
  struct Request {
    Ask ask = Ask::nothing;
    std::string stamp{};
  };
  /// Decides and acts for one device. A goal that this device cannot take (its twin is full, its agent cannot read the
  /// manifest) makes it Failed with the reason; an update that cannot be offered at all makes the subgroup's deployment
  /// Failed. Errors: only those of the store.
  [[nodiscard]] Result<Failed> plan(store::Records& records, store::FleetDevice& device, const Request& request,
                                    OfferCache& cache) const;
  /// Whether agents of the class can be told of the update. Errors: incompatible with the reason; those of the store.
  [[nodiscard]] Result<void> check_offer(store::Records& records, const UpdateId& update,
                                         const DeviceClassId& class_id) const;
  /// Renews the URLs of a row in progress.
  [[nodiscard]] Result<Failed> refresh_urls(store::Records& records, const store::DeploymentDevice& row,
                                            OfferCache& cache) const;
  /// For a row in progress whose time has come: ends it as Failed, or finds that the device is still at it.
  [[nodiscard]] Result<Failed> look_at_deadline(store::Records& records, const store::DeploymentDevice& row) const;

  [[nodiscard]] Duration url_lifetime() const { return urls_.lifetime(); }

 private:
  struct Situation {
    DeviceFacts facts;
    std::optional<store::SubgroupDeployment> wanted{};
  };
  [[nodiscard]] Result<Situation> gather(store::Records& records, const store::FleetDevice& device, Ask ask) const;
  [[nodiscard]] Result<const PreparedOffer*> prepare(store::Records& records, std::int64_t deployment,
                                                     const DeviceClassId& class_id, OfferCache& cache) const;
  [[nodiscard]] Result<Failed> offer(store::Records& records, store::FleetDevice& device, const Situation& situation,
                                     OfferCache& cache) const;
  [[nodiscard]] Result<Failed> retry(store::Records& records, store::FleetDevice& device, const Situation& situation,
                                     const std::string& stamp, OfferCache& cache) const;
  [[nodiscard]] Result<void> cancel(store::Records& records, store::FleetDevice& device,
                                    store::DeploymentDevice row) const;
  /// Writes the goal and the row; the row comes back Failed if the device's twin refuses the goal.
  [[nodiscard]] Result<void> send(store::Records& records, store::DeploymentDevice& row,
                                  const PreparedOffer& offer) const;
  [[nodiscard]] Result<void> retire(store::Records& records, const store::FleetDevice& device,
                                    std::int64_t newer) const;

  Clock& clock_;
  const Catalog& catalog_;
  const DownloadUrls& urls_;
  SetDesired set_desired_;
  std::int64_t root_key_package_version_;
  Deadlines deadlines_;
};

/// Copies the state of the device's newest deployment onto its row in the fleet.
[[nodiscard]] Result<void> mirror(store::Records& records, store::FleetDevice& device,
                                  const store::DeploymentDevice& row);

}  // namespace godwit::service
