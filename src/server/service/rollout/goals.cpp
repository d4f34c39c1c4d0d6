#include "server/service/rollout/goals.hpp"

#include <algorithm>

#include "core/base/bytes.hpp"
#include "server/service/inventory/result_json.hpp"

namespace godwit::service {
namespace {

using Row = store::DeploymentDevice;

/// Failures that concern one device or one update; everything else is the store's and ends the transaction.
bool is_of_the_goal(Code code) {
  switch (code) {
    case Code::not_found:
    case Code::invalid_argument:
    case Code::too_large:
    case Code::conflict:
    case Code::precondition_failed:
    case Code::unsupported:
    case Code::bad_json: return true;
    default: return false;
  }
}

void end_as_failed(Row& row, ExtendedCode code, const std::string& reason) {
  row.state = DeviceState::failed;
  InstallResult result;
  result.result_code = result::failure;
  result.extended_codes = {code};
  result.details = cut_details(reason);
  row.result_json = store_result(result);
}

void end_without_goal(Row& row, const std::string& reason) {
  end_as_failed(row, erc::goal_not_written, "the service could not give the device its goal: " + reason);
}

Goals::Failed failed_only(Row row) {
  return row.state == DeviceState::failed ? Goals::Failed(std::move(row)) : std::nullopt;
}

/// The reference agent says what it is ("DU;agent/1.1.0") and cannot fetch the manifest of a top-level update.
bool needs_whole_manifest(const twin::Twin& twin) {
  const twin::ReportedAgent agent = twin::read_reported(twin.reported.values);
  return agent.identity && agent.identity->agent_version.starts_with("DU;");
}

void begin_try(Row& row, WallTime now, const Deadlines& deadlines) {
  row.state = DeviceState::in_progress;
  row.heard.reset();
  row.result_json.clear();
  row.began = now;
  row.give_up = judge(now, now, now, deadlines).look_again;
}

/// The subgroup's deployment fails with a reason; trouble of the store goes on.
Result<void> refuse(store::Records& records, store::SubgroupDeployment subgroup, const Error& error) {
  if (!is_of_the_goal(error.code)) return tl::unexpected<Error>{error};
  subgroup.state = store::SubgroupDeploymentState::failed;
  subgroup.sweep = store::Sweep::none;
  subgroup.error_code = kCannotOfferUpdate;
  subgroup.error_message = error.message;
  return records.rollout().save_subgroup(subgroup);
}

/// $lastUpdated of a member of a section's metadata; 1970 when it is not there.
WallTime last_updated(const json::Object& metadata, std::initializer_list<std::string_view> path) {
  const json::Object* at = &metadata;
  for (const std::string_view name : path) {
    at = json::object_or_null(*at, name);
    if (at == nullptr) return {};
  }
  const auto text = json::text_or_nothing(*at, "$lastUpdated");
  return text ? parse_time(*text).value_or(WallTime{}) : WallTime{};
}

/// When the device last told about its work: the agent's state, its workflow, or how far it is. That it connects or
/// reports other things does not count.
WallTime last_word_of_work(const twin::Section& reported) {
  return std::max({last_updated(reported.metadata, {"deviceUpdate", "agent", "state"}),
                   last_updated(reported.metadata, {"deviceUpdate", "agent", "workflow"}),
                   last_updated(reported.metadata, {"godwit", "progress"})});
}

Result<void> mirror_by_id(store::Records& records, const Row& row) {
  GODWIT_TRY(auto device, records.fleet().find_device(row.device));
  return device ? mirror(records, *device, row) : Result<void>{};
}

}  // namespace

Result<void> mirror(store::Records& records, store::FleetDevice& device, const store::DeploymentDevice& row) {
  if (device.deployment != row.deployment || device.state == row.state) return {};
  device.state = row.state;
  device.updated = row.updated;
  return records.fleet().save_device(device);
}

Result<Goals::Situation> Goals::gather(store::Records& records, const store::FleetDevice& device, Ask ask) const {
  store::RolloutRecords& rollout = records.rollout();
  Situation situation{.facts = {.is_healthy = device.class_id.has_value(),
                                .ask = ask,
                                .now = clock_.now(),
                                .url_lifetime = urls_.lifetime()}};
  DeviceFacts& facts = situation.facts;
  if (device.class_id) {
    GODWIT_TRY(situation.wanted, rollout.find_active(device.group, *device.class_id));
  }
  if (situation.wanted) {
    facts.wanted = situation.wanted->deployment;
    GODWIT_TRY(facts.own, rollout.find_device(*facts.wanted, device.id));
    // The device has changed its class within one deployment: from now on it counts, and obeys, where it is.
    if (facts.own && facts.own->class_id != situation.wanted->class_id) {
      facts.own->class_id = situation.wanted->class_id;
      GODWIT_TRY_VOID(rollout.save_device(*facts.own));
    }
  }
  if (device.deployment == 0) return situation;
  std::optional<Row> row;
  if (facts.wanted == device.deployment) {
    row = facts.own;
  } else {
    GODWIT_TRY(row, rollout.find_device(device.deployment, device.id));
  }
  if (!row) return situation;
  GODWIT_TRY(const auto subgroup, rollout.find_subgroup(row->deployment, row->class_id));
  if (subgroup) facts.current = CurrentGoal{.row = *std::move(row), .deployment_state = subgroup->state};
  return situation;
}

Result<const PreparedOffer*> Goals::prepare(store::Records& records, std::int64_t deployment,
                                            const DeviceClassId& class_id, OfferCache& cache) const {
  const auto key = std::pair(deployment, class_id);
  if (const auto known = cache.find(key); known != cache.end()) return &known->second;
  GODWIT_TRY(auto record, records.rollout().find_deployment_by_number(deployment));
  if (!record) return fail(Code::not_found, "deployment number " + std::to_string(deployment) + " is gone");
  GODWIT_TRY(const auto device_class, records.fleet().find_class(class_id));
  if (!device_class) return fail(Code::not_found, "device class " + class_id.str() + " is gone");
  GODWIT_TRY(auto offer, catalog_.offer_for(records, record->update, device_class->value.contract));
  PreparedOffer prepared{
      .deployment = *std::move(record), .contract = device_class->value.contract, .offer = std::move(offer)};
  return &cache.emplace(key, std::move(prepared)).first->second;
}

Result<void> Goals::check_offer(store::Records& records, const UpdateId& update, const DeviceClassId& class_id) const {
  GODWIT_TRY(const auto device_class, records.fleet().find_class(class_id));
  if (!device_class) return fail(Code::incompatible, "device class " + class_id.str() + " is gone");
  const ContractModel contract = device_class->value.contract;
  const auto offer = catalog_.offer_for(records, update, contract);
  if (!offer && is_of_the_goal(offer.error().code)) return fail(Code::incompatible, offer.error().message);
  if (!offer) return tl::unexpected<Error>{offer.error()};
  if (!offer->is_detached || contract == ContractModel::v3) return {};
  return fail(Code::incompatible, "the manifest of update " + update.str() +
                                      " is too large for a twin, and the agents of device class " + class_id.str() +
                                      " (" + contract_model_id(contract) +
                                      ") cannot fetch it as a file: make the update smaller or split it");
}

Result<void> Goals::send(store::Records& records, Row& row, const PreparedOffer& prepared) const {
  const WallTime now = clock_.now();
  row.updated = now;
  row.urls_expire_at = now + urls_.lifetime();
  GODWIT_TRY(const auto twin, records.devices().find_twin(row.device));
  if (!twin) {
    end_without_goal(row, "the hub has no such device");
    return records.rollout().save_device(row);
  }
  if (prepared.offer.is_detached && needs_whole_manifest(twin->twin)) {
    end_as_failed(row, erc::manifest_too_large,
                  "the update's manifest does not fit into a twin and the device's agent cannot fetch it as a file: "
                  "split the update, or use an agent that can");
    return records.rollout().save_device(row);
  }
  twin::DesiredUpdate goal{.workflow_id = row.workflow_id,
                           .retry_timestamp = row.retry_timestamp,
                           .root_key_package_url = urls_.root_key_package(root_key_package_version_),
                           .manifest = prepared.offer.manifest,
                           .manifest_signature = prepared.offer.signature,
                           .file_urls = {}};
  for (const auto& [file_id, file] : prepared.offer.files)
    goal.file_urls.emplace(file_id, urls_.payload(file.sha256, file.name, now));
  const auto written =
      set_desired_(records, row.device, twin::desired_patch(goal, prepared.contract, twin->twin.desired.values));
  if (!written) {
    if (!is_of_the_goal(written.error().code))
      return with_context("goal of device '" + row.device.str() + "'", written.error());
    end_without_goal(row, written.error().message);
  }
  return records.rollout().save_device(row);
}

Result<void> Goals::retire(store::Records& records, const store::FleetDevice& device, std::int64_t newer) const {
  if (device.deployment == 0 || device.deployment == newer) return {};
  GODWIT_TRY(auto old, records.rollout().find_device(device.deployment, device.id));
  if (!old) return {};
  old->moved_on = true;
  // The agent drops the old workflow by itself when another one arrives, so nobody will report how it ended.
  // Of one that had ended before, `updated` goes on to tell when: the course of the deployment is drawn from it.
  if (old->state == DeviceState::in_progress) {
    old->state = DeviceState::canceled;
    old->updated = clock_.now();
  }
  return records.rollout().save_device(*old);
}

Result<Goals::Failed> Goals::offer(store::Records& records, store::FleetDevice& device, const Situation& situation,
                                   OfferCache& cache) const {
  const store::SubgroupDeployment& wanted = *situation.wanted;
  const auto prepared = prepare(records, wanted.deployment, wanted.class_id, cache);
  if (!prepared) {
    GODWIT_TRY_VOID(refuse(records, wanted, prepared.error()));
    return Failed{};
  }
  GODWIT_TRY_VOID(retire(records, device, wanted.deployment));
  Row row = situation.facts.own ? *situation.facts.own
                                : Row{.deployment = wanted.deployment,
                                      .device = device.id,
                                      .group = wanted.group,
                                      .class_id = wanted.class_id,
                                      .created = clock_.now()};
  row.class_id = wanted.class_id;
  row.workflow_id = random_guid();
  row.retry_timestamp.clear();
  row.moved_on = false;
  begin_try(row, clock_.now(), deadlines_);
  GODWIT_TRY_VOID(send(records, row, **prepared));
  device.attempted = (*prepared)->deployment.update;
  device.deployment = row.deployment;
  device.last_deployment_id = (*prepared)->deployment.id.str();
  device.state = row.state;
  device.updated = row.updated;
  GODWIT_TRY_VOID(records.fleet().save_device(device));
  return failed_only(std::move(row));
}

Result<Goals::Failed> Goals::retry(store::Records& records, store::FleetDevice& device, const Situation& situation,
                                   const std::string& stamp, OfferCache& cache) const {
  const store::SubgroupDeployment& wanted = *situation.wanted;
  const auto prepared = prepare(records, wanted.deployment, wanted.class_id, cache);
  if (!prepared) {
    GODWIT_TRY_VOID(refuse(records, wanted, prepared.error()));
    return Failed{};
  }
  Row row = *situation.facts.own;
  row.retry_timestamp = stamp;
  ++row.retry_count;
  begin_try(row, clock_.now(), deadlines_);
  GODWIT_TRY_VOID(send(records, row, **prepared));
  GODWIT_TRY_VOID(mirror(records, device, row));
  return failed_only(std::move(row));
}

Result<void> Goals::cancel(store::Records& records, store::FleetDevice& device, Row row) const {
  GODWIT_TRY(const auto twin, records.devices().find_twin(row.device));
  if (twin) {
    GODWIT_TRY(const auto device_class, records.fleet().find_class(row.class_id));
    const ContractModel contract = device_class ? device_class->value.contract : ContractModel::v3;
    twin::DesiredUpdate goal;
    goal.action = twin::Action::cancel;
    goal.workflow_id = row.workflow_id;
    goal.retry_timestamp = row.retry_timestamp;
    const auto written =
        set_desired_(records, row.device, twin::desired_patch(goal, contract, twin->twin.desired.values));
    if (!written && !is_of_the_goal(written.error().code))
      return with_context("goal of device '" + row.device.str() + "'", written.error());
  }
  if (row.state != DeviceState::in_progress) return {};  // it has ended already; only its goal is gone
  row.state = DeviceState::canceled;
  row.updated = clock_.now();
  GODWIT_TRY_VOID(records.rollout().save_device(row));
  return mirror(records, device, row);
}

Result<Goals::Failed> Goals::refresh_urls(store::Records& records, const Row& old, OfferCache& cache) const {
  Row row = old;
  const auto prepared = prepare(records, row.deployment, row.class_id, cache);
  if (prepared) {
    GODWIT_TRY_VOID(send(records, row, **prepared));
  } else {
    if (!is_of_the_goal(prepared.error().code)) return tl::unexpected<Error>{prepared.error()};
    end_without_goal(row, prepared.error().message);
    row.updated = clock_.now();
    GODWIT_TRY_VOID(records.rollout().save_device(row));
  }
  if (row.state == old.state) return Failed{};
  GODWIT_TRY_VOID(mirror_by_id(records, row));
  return failed_only(std::move(row));
}

Result<Goals::Failed> Goals::look_at_deadline(store::Records& records, const Row& old) const {
  Row row = old;
  GODWIT_TRY(const auto twin, records.devices().find_reported(row.device));
  const WallTime last_word = twin ? last_word_of_work(twin->twin.reported) : WallTime{};
  const Judgement judgement = judge(row.began, last_word, clock_.now(), deadlines_);
  row.give_up = judgement.look_again;
  switch (judgement.patience) {
    case Patience::wait: GODWIT_TRY_VOID(records.rollout().save_device(row)); return Failed{};
    case Patience::silent:
      end_as_failed(row, erc::deadline_silent,
                    "the device has said nothing about this update since " +
                        management_time(std::max(row.began, last_word)) + "; it may still finish when it is back");
      break;
    case Patience::too_long:
      end_as_failed(row, erc::deadline_total,
                    "the device has not finished since the update was sent at " + management_time(row.began));
      break;
  }
  row.updated = clock_.now();
  GODWIT_TRY_VOID(records.rollout().save_device(row));
  GODWIT_TRY_VOID(mirror_by_id(records, row));
  return failed_only(std::move(row));
}

Result<Goals::Failed> Goals::plan(store::Records& records, store::FleetDevice& device, const Request& request,
                                  OfferCache& cache) const {
  GODWIT_TRY(const Situation situation, gather(records, device, request.ask));
  switch (decide(situation.facts)) {
    case Do::nothing: return Failed{};
    case Do::offer: return offer(records, device, situation, cache);
    case Do::retry: return retry(records, device, situation, request.stamp, cache);
    case Do::cancel: GODWIT_TRY_VOID(cancel(records, device, situation.facts.current->row)); return Failed{};
    case Do::refresh_urls: return refresh_urls(records, situation.facts.current->row, cache);
  }
  return Failed{};
}

}  // namespace godwit::service
