// What drives deployments: the hub's events and the planner's thread. Use cases are in use_cases.cpp, answers in
// views.cpp.
#include "server/service/rollout/rollout.hpp"

#include <algorithm>
#include <array>

#include "server/service/inventory/result_json.hpp"
#include "server/service/rollout/report_reducer.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kStartsPerChunk = 16;
constexpr std::size_t kModulesPerSync = 100;  // more than a device may have

constexpr std::array<std::string_view, 4> kReportKeys{"state", "workflow", "installedUpdateId", "lastInstallResult"};
constexpr std::array<std::string_view, 2> kIdentityKeys{"deviceProperties", "compatPropertyNames"};

/// What a reported patch may change for us.
struct Relevance {
  bool is_any = false;
  bool has_report = false;
};

Relevance relevance_of(const json::Object& patch) {
  const json::Value* component = json::find(patch, "deviceUpdate");
  if (component == nullptr) return {};
  if (!component->is_object()) return {.is_any = true};
  const json::Value* agent = json::find(component->as_object(), "agent");
  if (agent == nullptr) return {};
  if (!agent->is_object()) return {.is_any = true};
  const json::Object& members = agent->as_object();
  const auto is_there = [&members](std::string_view key) { return json::find(members, key) != nullptr; };
  Relevance relevance;
  relevance.is_any = std::any_of(kReportKeys.begin(), kReportKeys.end(), is_there) ||
                     std::any_of(kIdentityKeys.begin(), kIdentityKeys.end(), is_there);
  // A patch without a workflow tells nothing about one, although the merged document still holds the last: an agent
  // that has just started may say idle before it takes its work up again.
  relevance.has_report = json::object_or_null(members, "workflow") != nullptr;
  return relevance;
}

/// Most modules have nothing to do with updates; one is an agent when it says so, and stays one.
Result<bool> is_update_agent(store::Records& records, const IdentityId& id, const twin::Twin& twin,
                             const std::optional<std::string>& model_id) {
  if (json::find(twin.reported.values, "deviceUpdate") != nullptr) return true;
  if (model_id && model_id->starts_with("dtmi:azure:iot:deviceUpdate")) return true;
  GODWIT_TRY(const auto known, records.fleet().find_device(id));
  return known.has_value();
}

std::string report_json(const twin::AgentReport& report) {
  json::Object object;
  object["state"] = static_cast<std::int32_t>(report.state);
  object["action"] = static_cast<std::int32_t>(report.action);
  if (!report.retry_timestamp.empty()) object["retryTimestamp"] = report.retry_timestamp;
  if (report.installed_update) object["installedUpdateId"] = report.installed_update->str();
  if (report.result) object["result"] = explained_result(*report.result);
  return json::print(object);
}

}  // namespace

Rollout::Rollout(store::Store& store, Clock& clock, Log& log, const Catalog& catalog, Inventory& inventory,
                 const DownloadUrls& urls, SetDesired set_desired, RolloutOptions options)
    : store_(store),
      clock_(clock),
      log_(log),
      inventory_(inventory),
      options_(options),
      goals_(clock, catalog, urls, std::move(set_desired), options.root_key_package_version, options.deadlines),
      lifecycle_(clock, log, goals_, options.limits) {}

Rollout::~Rollout() { stop(); }

Result<void> Rollout::on_device_created(store::Records& records, const IdentityId& id) {
  return observe(records, id, twin::Twin{}, std::nullopt, std::nullopt);
}

Result<void> Rollout::on_device_removed(store::Records& records, const IdentityId& id) {
  GODWIT_TRY_VOID(records.rollout().remove_device(id));
  GODWIT_TRY([[maybe_unused]] const bool was_there, records.fleet().remove_device(id));
  return {};
}

Result<void> Rollout::on_twin_changed(store::Records& records, const IdentityId& id, const twin::Twin& twin,
                                      const json::Object& reported_patch) {
  const Relevance relevance = relevance_of(reported_patch);
  if (!relevance.is_any) return {};
  return observe(records, id, twin, std::nullopt, relevance.has_report ? std::optional(Reading::report) : std::nullopt);
}

Result<void> Rollout::on_tags(store::Records& records, const IdentityId& id, const twin::Twin& twin) {
  return observe(records, id, twin, std::nullopt, std::nullopt);
}

Result<void> Rollout::on_connected(store::Records& records, const IdentityId& id, const std::string& model_id) {
  GODWIT_TRY(const auto known, records.fleet().find_device(id));
  if (known && known->model_id == model_id) return {};
  GODWIT_TRY(const auto twin, records.devices().find_twin(id));
  return twin ? observe(records, id, twin->twin, model_id, std::nullopt) : Result<void>{};
}

Result<void> Rollout::observe(store::Records& records, const IdentityId& id, const twin::Twin& twin,
                              const std::optional<std::string>& model_id, std::optional<Reading> reading) {
  if (id.is_module()) {
    GODWIT_TRY(const bool is_agent, is_update_agent(records, id, twin, model_id));
    if (!is_agent) return {};
  }
  const twin::ReportedAgent agent = twin::read_reported(twin.reported.values);
  GODWIT_TRY(auto refreshed, inventory_.refresh(records, id, twin, agent, model_id));
  store::FleetDevice& device = refreshed.device;
  if (refreshed.is_new_subgroup) {
    GODWIT_TRY_VOID(lifecycle_.adopt(records, device.group, *device.class_id));
    records.after_commit([this] { wake(); });
  }
  if (reading && agent.report && !agent.report->workflow_id.empty())
    GODWIT_TRY_VOID(take_report(records, device, *agent.report, *reading));
  OfferCache cache;
  GODWIT_TRY([[maybe_unused]] const bool has_rolled_back, lifecycle_.plan(records, device, {}, cache));
  return {};
}

Result<void> Rollout::take_report(store::Records& records, store::FleetDevice& device, const twin::AgentReport& report,
                                  Reading reading) {
  store::RolloutRecords& rollout = records.rollout();
  GODWIT_TRY(const auto row, rollout.find_by_workflow(device.id, report.workflow_id));
  std::optional<UpdateId> target;
  if (row) {
    GODWIT_TRY(const auto deployment, rollout.find_deployment_by_number(row->deployment));
    if (deployment) target = deployment->update;
  }
  const WallTime now = clock_.now();
  const Reduction reduction = reduce(row, target, report, now);
  if (reading == Reading::report || reduction.verdict == ReportVerdict::applied)
    GODWIT_TRY_VOID(rollout.append_report({.device = device.id,
                                           .time = now,
                                           .workflow_id = report.workflow_id,
                                           .deployment = row ? row->deployment : 0,
                                           .verdict = std::string(verdict_name(reduction.verdict)),
                                           .report_json = report_json(report)},
                                          kReportsPerDevice));
  if (!reduction.row) return {};
  GODWIT_TRY_VOID(rollout.save_device(*reduction.row));
  GODWIT_TRY_VOID(mirror(records, device, *reduction.row));
  if (!reduction.has_ended || reduction.row->state != DeviceState::failed) return {};
  GODWIT_TRY([[maybe_unused]] const bool has_rolled_back, lifecycle_.consider_rollback(records, *reduction.row));
  // A rollback may have taken this device in already.
  GODWIT_TRY(auto present, records.fleet().find_device(device.id));
  if (present) device = *std::move(present);
  records.after_commit([this] { wake(); });
  return {};
}

Result<bool> Rollout::has_work(store::Records& records) const {
  const WallTime now = clock_.now();
  GODWIT_TRY(const auto due, records.rollout().list_due(now, 1));
  if (!due.empty()) return true;
  GODWIT_TRY(const auto sweeping, records.rollout().list_sweeping(1));
  if (!sweeping.empty()) return true;
  GODWIT_TRY(const bool has_to_tend, lifecycle_.has_to_tend(records));
  if (has_to_tend) return true;
  GODWIT_TRY(const auto syncs, records.fleet().list_operations(true, 1));
  return !syncs.empty();
}

Result<void> Rollout::do_chunk(store::Records& records) {
  const WallTime now = clock_.now();
  GODWIT_TRY(const auto due, records.rollout().list_due(now, kStartsPerChunk));
  for (const store::SubgroupDeployment& subgroup : due) GODWIT_TRY_VOID(lifecycle_.activate(records, subgroup));
  GODWIT_TRY(const auto sweeping, records.rollout().list_sweeping(1));
  if (!sweeping.empty()) return lifecycle_.sweep(records, sweeping.front());
  GODWIT_TRY(const bool has_tended, lifecycle_.tend(records));
  if (has_tended) return {};
  GODWIT_TRY(const auto syncs, records.fleet().list_operations(true, 1));
  return syncs.empty() ? Result<void>{} : sync_chunk(records, syncs.front());
}

Result<void> Rollout::sync_one(store::Records& records, const IdentityId& id) {
  GODWIT_TRY(const auto twin, records.devices().find_twin(id));
  GODWIT_TRY(const auto session, records.devices().find_session(id));
  const auto model_id = session && !session->model_id.empty() ? std::optional(session->model_id) : std::nullopt;
  return twin ? observe(records, id, twin->twin, model_id, Reading::again) : Result<void>{};
}

Result<void> Rollout::sync_chunk(store::Records& records, store::FleetOperation operation) {
  const std::size_t chunk = options_.limits.chunk;
  GODWIT_TRY(const auto identities, records.devices().list_identities(operation.after, chunk));
  for (const store::DeviceIdentity& identity : identities) {
    if (operation.kind != "Modules") GODWIT_TRY_VOID(sync_one(records, identity.id));
    if (operation.kind == "Devices") continue;
    GODWIT_TRY(const auto modules, records.devices().list_modules(identity.id.device(), kModulesPerSync));
    for (const store::DeviceIdentity& module : modules) GODWIT_TRY_VOID(sync_one(records, module.id));
  }
  const bool is_done = identities.size() < chunk;
  operation.status = is_done ? store::OperationStatus::succeeded : store::OperationStatus::running;
  if (!identities.empty()) operation.after = identities.back().id.str();
  ++operation.etag;
  operation.last_action = clock_.now();
  return records.fleet().save_operation(operation);
}

Result<void> Rollout::tick() {
  for (;;) {
    bool is_needed = false;
    const store::Store::Job look = [&](store::Records& records) -> Result<void> {
      GODWIT_TRY(is_needed, has_work(records));
      return {};
    };
    GODWIT_TRY_VOID(store_.read(look));
    if (!is_needed) return {};
    GODWIT_TRY_VOID(store_.write([this](store::Records& records) { return do_chunk(records); }));
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return {};
  }
}

void Rollout::start() {
  GODWIT_CHECK(!thread_.joinable());
  is_stopping_ = false;
  thread_ = std::thread([this] { run(); });
}

void Rollout::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  is_stopping_ = false;
}

void Rollout::wake() {
  {
    const std::lock_guard lock(mutex_);
    is_woken_ = true;
  }
  changed_.notify_all();
}

void Rollout::run() {
  for (;;) {
    if (const auto done = tick(); !done) log_.error("planner.failed", {{"reason", done.error().message}});
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, options_.tick_interval, [this] { return is_woken_ || is_stopping_; });
    if (is_stopping_) return;
    is_woken_ = false;
  }
}

}  // namespace godwit::service
