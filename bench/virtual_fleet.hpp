// A fleet without sockets: the real store, registry, catalog, inventory and rollout as apps/godwitd wires them, and
// devices that are rows of the store. What the hub would send a device after the commit tells its workflow; what it
// reports goes through the registry, one job each, as the hub hands it to the store.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <semaphore>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/log.hpp"
#include "core/twin/dialect.hpp"
#include "server/hub/registry.hpp"
#include "server/service/rollout/rollout.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace godwit::bench {

inline constexpr std::size_t kDevicesPerFill = 1000;
inline constexpr int kReportsInFlight = 1024;  // two batches of the store's writer

[[noreturn]] inline void give_up(const std::string& why) {
  fmt::print(stderr, "bench_deployments: {}\n", why);
  std::_Exit(1);  // other threads are at work
}

template <class Outcome>
void expect(const Outcome& outcome) {
  if (!outcome) give_up(outcome.error().message);
}

inline DeviceId device_id(std::size_t i) { return DeviceId::parse(fmt::format("device-{:06}", i)).value(); }
inline UpdateId update_id() { return UpdateId::parse("Contoso", "Toaster", "2.0").value(); }
inline GroupId group_id() { return GroupId::parse("plant").value(); }
inline DeploymentId deployment_id() { return DeploymentId::parse("spring").value(); }

/// All devices of its hub are connected.
class VirtualFleet final : hub::TwinObserver {
 public:
  VirtualFleet(const Path& file, std::size_t devices)
      : workflows(devices),
        store(store::open_sqlite_store(file, trust::Sealer::from_key(Secret(std::string(32, 's'))).value(), clock, log)
                  .value()),
        catalog(*store, clock),
        inventory(*store, clock),
        urls("https://updates.example.com:8443", Secret(std::string(32, 'k')), std::chrono::hours(24)),
        registry(clock, *this,
                 {.push = [this](const IdentityId& id, const std::string& goal, std::uint64_t) { hear(id, goal); },
                  .drop = [](const IdentityId&, const std::string&) {},
                  .changed = [](const IdentityId&) {}}),
        rollout(*store, clock, log, catalog, inventory, urls,
                [this](store::Records& records, const IdentityId& id, const json::Object& patch) -> Result<void> {
                  GODWIT_TRY_VOID(registry.change_twin(records, id, {.desired = patch}));
                  return {};
                }) {}

  std::vector<std::string> workflows;  // of each device, once its goal is stored
  std::atomic<std::size_t> offered = 0;
  std::counting_semaphore<kReportsInFlight> places{kReportsInFlight};  // of reports that are not durable yet
  SystemClock clock;
  NullLog log;
  std::unique_ptr<store::Store> store;
  service::Catalog catalog;
  service::Inventory inventory;
  service::DownloadUrls urls;
  hub::Registry registry;
  service::Rollout rollout;

 private:
  /// After the commit that stored the goal. {"deviceUpdate":{"service":{"workflow":{"action":3,"id":"..."...
  void hear(const IdentityId& id, const std::string& goal) {
    constexpr std::string_view kId = R"("id":")";
    const std::size_t begin = goal.find(kId, goal.find(R"("workflow")")) + kId.size();
    const auto device = static_cast<std::size_t>(std::atoll(id.str().c_str() + sizeof("device-") - 1));
    workflows[device] = goal.substr(begin, goal.find('"', begin) - begin);
    ++offered;
  }

  Result<void> on_created(store::Records& records, const IdentityId& id) override {
    return rollout.on_device_created(records, id);
  }
  Result<void> on_removed(store::Records& records, const IdentityId& id) override {
    return rollout.on_device_removed(records, id);
  }
  Result<void> on_reported(store::Records& records, const IdentityId& id, const twin::Twin& twin,
                           const json::Object& patch) override {
    return rollout.on_twin_changed(records, id, twin, patch);
  }
  Result<void> on_tags(store::Records& records, const IdentityId& id, const twin::Twin& twin) override {
    return rollout.on_tags(records, id, twin);
  }
  Result<void> on_model(store::Records& records, const IdentityId& id, const std::string& model_id) override {
    return rollout.on_connected(records, id, model_id);
  }
};

inline Result<void> add_device(VirtualFleet& fleet, store::Records& records, const IdentityId& id) {
  GODWIT_TRY_VOID(fleet.registry.create(records, {.id = id}));
  GODWIT_TRY_VOID(fleet.rollout.on_connected(records, id, "dtmi:azure:iot:deviceUpdateModel;3"));
  GODWIT_TRY_VOID(fleet.registry.change_twin(records, id, {.tags = json::Object{{"ADUGroup", group_id().str()}}}));
  const twin::AgentIdentity identity{.properties = {{"manufacturer", "Contoso"}, {"model", "Toaster"}},
                                     .compat_property_names = {"manufacturer", "model"},
                                     .agent_version = "godwit/0.1.0"};
  GODWIT_TRY_VOID(fleet.registry.patch_reported(records, id, twin::identity_patch(identity), std::nullopt));
  return {};
}

/// An update of usual size: a manifest of 1,400 bytes, its signature with 3072-bit keys, two files; and the fleet.
inline void fill(VirtualFleet& fleet, std::size_t devices) {
  store::OfferRecord offer{.whole_manifest = std::string(1400, 'm'), .signature = std::string(2400, 's')};
  offer.manifest = offer.whole_manifest;
  for (const char* id : {"f1", "f2"}) offer.files[id] = {.sha256 = sha256(id), .name = std::string(id) + ".bin"};
  store::UpdateRecord update{.import_manifest = "{}", .etag = "e"};
  update.summary = {.id = update_id(), .compatibility = {{{"manufacturer", "Contoso"}, {"model", "Toaster"}}}};
  expect(fleet.store->write([&](store::Records& records) {
    return records.catalog().insert_update(update, {{4, offer}, {5, offer}});
  }));
  for (std::size_t begin = 0; begin < devices; begin += kDevicesPerFill)
    expect(fleet.store->write([&](store::Records& records) -> Result<void> {
      for (std::size_t i = begin; i < std::min(begin + kDevicesPerFill, devices); ++i)
        GODWIT_TRY_VOID(add_device(fleet, records, device_id(i)));
      return {};
    }));
}

/// One report of each device, a job each, as the hub hands them to the store; the writer makes its batches.
inline void report(VirtualFleet& fleet, const std::vector<std::size_t>& order, twin::AgentReport made) {
  for (const std::size_t device : order) {
    made.workflow_id = fleet.workflows[device];
    fleet.places.acquire();
    fleet.store->submit(
        [&fleet, id = IdentityId(device_id(device)),
         patch = twin::report_patch(made)](store::Records& records) -> Result<void> {
          GODWIT_TRY_VOID(fleet.registry.patch_reported(records, id, patch, std::nullopt));
          return {};
        },
        [&fleet](const Result<void>& outcome) {
          expect(outcome);
          fleet.places.release();
        });
  }
  for (int i = 0; i < kReportsInFlight; ++i) fleet.places.acquire();
  fleet.places.release(kReportsInFlight);
}

inline twin::AgentReport work_in_progress() {
  twin::AgentReport made;
  made.state = AgentState::in_progress;
  made.result.emplace().result_code = result::success;
  return made;
}
inline twin::AgentReport success() {
  StepResult step;
  step.result_code = result::apply_ok;
  twin::AgentReport made;
  made.installed_update = update_id();
  made.result.emplace().result_code = result::apply_ok;
  made.result->steps = {step, step};
  return made;
}

}  // namespace godwit::bench
