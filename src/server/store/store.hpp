// Durable records behind an interface: one writer that commits in groups, many readers over snapshots.
// A write that was acknowledged is on disk. No SQL and no file path leaves this room; sqlite/ is the first engine.
// Store is safe from any thread; the records handed to a job belong to that call and that thread.
#pragma once

#include <array>
#include <functional>

#include "core/base/error.hpp"
#include "server/store/access_records.hpp"
#include "server/store/catalog_records.hpp"
#include "server/store/device_records.hpp"
#include "server/store/figure_records.hpp"
#include "server/store/fleet_records.hpp"
#include "server/store/job_records.hpp"
#include "server/store/log_records.hpp"
#include "server/store/message_records.hpp"
#include "server/store/policy_records.hpp"
#include "server/store/provisioning_records.hpp"
#include "server/store/rollout_records.hpp"

namespace godwit::store {

/// The tables of one transaction, by room of use. All reads see all earlier writes of the same transaction.
class Records {
 public:
  virtual ~Records() = default;
  [[nodiscard]] virtual DeviceRecords& devices() = 0;    // identities, sessions, twins: hub
  [[nodiscard]] virtual CatalogRecords& catalog() = 0;   // updates, files, import operations: service/import,
                                                         // service/catalog
  [[nodiscard]] virtual FleetRecords& fleet() = 0;       // devices as the service sees them, classes, groups:
                                                         // service/inventory
  [[nodiscard]] virtual RolloutRecords& rollout() = 0;   // deployments and their devices: service/rollout
  [[nodiscard]] virtual MessageRecords& messages() = 0;  // messages that wait for devices: hub
  [[nodiscard]] virtual JobRecords& jobs() = 0;          // scheduled jobs: hub
  [[nodiscard]] virtual AccessRecords& access() = 0;     // bearer tokens, settings, audit events
  [[nodiscard]] virtual PolicyRecords& policies() = 0;   // shared access policies: api, hub
  [[nodiscard]] virtual LogRecords& logs() = 0;          // logs of devices: service/diagnostics
  [[nodiscard]] virtual FigureRecords& figures() = 0;    // sums for monitoring
  /// Authorities, enrollments, registrations: hub.
  [[nodiscard]] virtual ProvisioningRecords& provisioning() = 0;
  /// Runs on the writer thread once this transaction is durable; forgotten if it is rolled back. Must not block: post
  /// to a loop.
  virtual void after_commit(std::function<void()> action) = 0;
};

/// Commits by how long they took: bucket i counts those up to kCommitBounds[i] seconds, the last one the rest.
inline constexpr std::array<double, 9> kCommitBounds{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0};

/// What the writer has done since the store was opened; `queued` is the present value.
struct StoreCounters {
  std::uint64_t queued = 0;
  std::uint64_t jobs = 0;
  std::uint64_t commits = 0;
  std::uint64_t failed_commits = 0;
  double commit_seconds = 0;
  std::array<std::uint64_t, kCommitBounds.size() + 1> commit_buckets{};
};

class Store {
 public:
  using Job = std::function<Result<void>(Records&)>;
  using Done = std::function<void(Result<void>)>;

  virtual ~Store() = default;

  /// Queues a write. Jobs run one at a time in order of arrival; many share one commit. A job that returns an error is
  /// rolled back alone. `done` is called exactly once, on the writer thread, after the commit is durable or with the
  /// error. A job may run again if the shared commit failed: it must have no effect outside the records (use
  /// after_commit).
  virtual void submit(Job job, Done done) = 0;
  /// submit() and wait. Never call from the writer thread or an io loop.
  [[nodiscard]] Result<void> write(Job job);
  /// Runs on the caller's thread over one consistent snapshot. Writing inside fails with Code::internal.
  [[nodiscard]] virtual Result<void> read(const Job& job) = 0;
  [[nodiscard]] virtual StoreCounters counters() const { return {}; }
};

}  // namespace godwit::store
