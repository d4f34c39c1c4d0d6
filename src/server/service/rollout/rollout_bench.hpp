// For tests: the real store, catalog, inventory and rollout, with a hub that is two functions and devices that are
// their twins.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "server/service/rollout/rollout.hpp"
#include "server/store/testing.hpp"

namespace godwit::service {

inline DeviceId device_id(std::string_view text) { return DeviceId::parse(text).value(); }
inline GroupId group_id(std::string_view text) { return GroupId::parse(text).value(); }
inline DeploymentId deployment_id(std::string_view text) { return DeploymentId::parse(text).value(); }
inline UpdateId update_id(std::string_view version, std::string_view name = "Toaster") {
  return UpdateId::parse("Contoso", name, version).value();
}
inline DeviceClassId toaster_class(std::string_view model = "Toaster") {
  return DeviceClassId::parse(
             DeviceClass{.compatibility = {{"manufacturer", "Contoso"}, {"model", std::string(model)}}}.id())
      .value();
}

struct RolloutBench : store::TestStore {
  explicit RolloutBench(std::size_t chunk = 200, Deadlines deadlines = {})
      : catalog(*store, clock),
        inventory(*store, clock),
        urls("https://host:8443", Secret(std::string(32, 'k')), std::chrono::hours(4)),
        rollout(*store, clock, log, catalog, inventory, urls,
                [this](store::Records& records, const IdentityId& id, const json::Object& patch) {
                  return set_desired(records, id, patch);
                },
                {.limits = {.chunk = chunk}, .deadlines = deadlines}) {}

  /// What hub::Registry does with the desired section.
  Result<void> set_desired(store::Records& records, const IdentityId& id, const json::Object& patch) {
    if (refusal && refusal->first == id.str()) return fail(refusal->second, "the hub says no");
    GODWIT_TRY(auto record, records.devices().find_twin(id));
    if (!record) return fail(Code::not_found, "no device");
    GODWIT_TRY_VOID(twin::merge(record->twin.desired, patch, clock.now(), {}));
    ++goals_sent;
    return records.devices().save_twin(id, *record);
  }

  enum class Manifest : std::uint8_t { whole, detached };
  void import(const UpdateId& id, std::string_view model = "Toaster", bool is_deployable = true,
              Manifest manifest = Manifest::whole) {
    const std::string text = "manifest of " + id.str();
    const store::OfferRecord offer{.whole_manifest = manifest == Manifest::whole ? text : "the whole " + text,
                                   .manifest = text,
                                   .signature = "s",
                                   .files = {{"f1", {sha256("payload"), "app.bin"}}}};
    store::UpdateRecord update;
    update.summary = {.id = id,
                      .description = "an update",
                      .is_deployable = is_deployable,
                      .compatibility = {{{"manufacturer", "Contoso"}, {"model", std::string(model)}}}};
    update.import_manifest = "{}";
    update.etag = "e";
    expect(store->write([&](store::Records& records) {
      return records.catalog().insert_update(update, {{4, offer}, {5, offer}});
    }));
  }

  static void expect(const Result<void>& done) { ASSERT_TRUE(done.has_value()) << done.error().message; }

  void add_identity(const IdentityId& id) {
    expect(store->write([&](store::Records& records) -> Result<void> {
      store::DeviceIdentity identity{.id = id,
                                     .primary_key = Secret(std::string(32, 'a')),
                                     .secondary_key = Secret(std::string(32, 'b')),
                                     .generation = "g",
                                     .created = clock.now()};
      if (auto inserted = records.devices().insert_identity(identity, clock.now()); !inserted) return inserted;
      return rollout.on_device_created(records, id);
    }));
  }

  /// A device that has connected and told what it is.
  DeviceId add_device(std::string_view name, std::string_view group = "", std::string_view model = "Toaster") {
    const DeviceId id = device_id(name);
    add_identity(id);
    if (!group.empty()) tag(id, group);
    expect(store->write([&](store::Records& records) {
      return rollout.on_connected(records, id, "dtmi:azure:iot:deviceUpdateModel;3");
    }));
    identify(id, model);
    return id;
  }

  /// The update agent of a device that runs as a module of it.
  IdentityId add_module(const DeviceId& device, std::string_view name, std::string_view group = "") {
    const IdentityId id(device, ModuleId::parse(name).value());
    add_identity(id);
    if (!group.empty()) tag(id, group);
    expect(store->write([&](store::Records& records) {
      return rollout.on_connected(records, id, "dtmi:azure:iot:deviceUpdateModel;3");
    }));
    identify(id, "Toaster");
    return id;
  }

  void identify(const IdentityId& id, std::string_view model, ContractModel contract = ContractModel::v3,
                std::string_view agent = "") {
    twin::AgentIdentity identity;
    identity.contract = contract;
    identity.agent_version = agent;
    identity.properties = {{"manufacturer", "Contoso"}, {"model", std::string(model)}};
    identity.compat_property_names = {"manufacturer", "model"};
    patch(id, twin::identity_patch(identity));
  }

  void tag(const IdentityId& id, std::string_view group) {
    expect(store->write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(auto record, records.devices().find_twin(id));
      record->twin.tags["ADUGroup"] = group.empty() ? json::Value(nullptr) : json::Value(std::string(group));
      if (auto saved = records.devices().save_twin(id, *record); !saved) return saved;
      return rollout.on_tags(records, id, record->twin);
    }));
  }

  /// A reported patch as the hub takes it.
  void patch(const IdentityId& id, const json::Object& reported) {
    expect(store->write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(auto record, records.devices().find_twin(id));
      if (auto merged = twin::merge(record->twin.reported, reported, clock.now(), {}); !merged) return merged;
      if (auto saved = records.devices().save_twin(id, *record); !saved) return saved;
      return rollout.on_twin_changed(records, id, record->twin, reported);
    }));
  }

  void remove_device(const IdentityId& id) {
    expect(store->write([&](store::Records& records) -> Result<void> {
      if (auto removed = rollout.on_device_removed(records, id); !removed) return removed;
      GODWIT_TRY([[maybe_unused]] const bool was_there, records.devices().remove_identity(id));
      return {};
    }));
  }

  // ---- the device's side
  twin::DesiredUpdate goal(const IdentityId& id) {
    twin::DesiredUpdate found;
    expect(store->read([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(const auto record, records.devices().find_twin(id));
      GODWIT_TRY(const auto desired, twin::read_desired(record->twin.desired.values));
      if (desired) found = *desired;
      return {};
    }));
    return found;
  }
  twin::AgentReport report_on_goal(const IdentityId& id, AgentState state, std::int32_t code) {
    const twin::DesiredUpdate present = goal(id);
    twin::AgentReport report;
    report.state = state;
    report.workflow_id = present.workflow_id;
    report.retry_timestamp = present.retry_timestamp;
    report.result = InstallResult{};
    report.result->result_code = code;
    return report;
  }
  void begin(const IdentityId& id) {
    patch(id, twin::report_patch(report_on_goal(id, AgentState::in_progress, result::success)));
  }
  void succeed(const IdentityId& id, const UpdateId& update) {
    auto report = report_on_goal(id, AgentState::idle, result::apply_ok);
    report.installed_update = update;
    patch(id, twin::report_patch(report));
  }
  void break_down(const IdentityId& id, ExtendedCode code = erc::hash_mismatch) {
    auto report = report_on_goal(id, AgentState::failed, result::failure);
    report.result->extended_codes = {code};
    report.result->details = "it broke";
    report.result->steps = {{.result_code = result::apply_ok, .extended_code = 0, .details = ""},
                            {.result_code = result::failure, .extended_code = code, .details = "step broke"}};
    patch(id, twin::report_patch(report));
  }
  void give_up(const IdentityId& id) {
    patch(id, twin::report_patch(report_on_goal(id, AgentState::idle, result::cancelled)));
  }

  // ---- the operator's side
  Result<json::Object> deploy(std::string_view id, const UpdateId& update, std::string_view group = "plant",
                              Duration in = Duration{}, std::optional<store::RollbackPolicy> rollback = {}) {
    return rollout.create({.group = group_id(group),
                           .id = deployment_id(id),
                           .update = update,
                           .start = clock.now() + in,
                           .rollback = std::move(rollback)},
                          "ann");
  }
  std::string state_of(const IdentityId& id, std::string_view deployment, std::string_view group = "plant") {
    const auto page = rollout.device_states(group_id(group), deployment_id(deployment), {.device = id}, "");
    if (!page) return page.error().message;
    return page->values.empty() ? "none" : std::string(page->values.front().at("deviceState").as_string());
  }
  json::Object row_of(const IdentityId& id, std::string_view deployment, std::string_view group = "plant") {
    const auto page = rollout.device_states(group_id(group), deployment_id(deployment), {.device = id}, "");
    return page && !page->values.empty() ? page->values.front().as_object() : json::Object{};
  }
  std::string deployment_state(std::string_view deployment, std::string_view group = "plant") {
    const auto status = rollout.status(group_id(group), deployment_id(deployment));
    return status ? std::string(status->at("deploymentState").as_string()) : status.error().message;
  }

  Catalog catalog;
  Inventory inventory;
  DownloadUrls urls;
  std::optional<std::pair<std::string, Code>> refusal{};  // device whose goals the hub refuses
  int goals_sent = 0;
  Rollout rollout;
};

}  // namespace godwit::service
