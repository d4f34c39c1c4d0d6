#include "server/service/inventory/compliance.hpp"

#include <gtest/gtest.h>

namespace godwit::service {
namespace {

UpdateId id(std::string_view version, std::string_view name = "Toaster") {
  return UpdateId::parse("Contoso", name, version).value();
}

store::UpdateSummary update(const UpdateId& update_id, CompatibilitySet set, bool is_deployable = true) {
  return {.id = update_id, .is_deployable = is_deployable, .compatibility = {std::move(set)}};
}

const DeviceClassId kToaster = DeviceClassId::parse(std::string(40, 'a')).value();
const DeviceClassId kKettle = DeviceClassId::parse(std::string(40, 'b')).value();

store::FleetCount count(std::optional<DeviceClassId> class_id, std::optional<UpdateId> installed,
                        std::optional<UpdateId> attempted, std::optional<DeviceState> state, std::uint64_t devices) {
  return {.group = GroupId::parse("g").value(),
          .class_id = std::move(class_id),
          .installed = std::move(installed),
          .attempted = std::move(attempted),
          .state = state,
          .devices = devices};
}

}  // namespace

TEST(Compliance, the_best_update_is_the_highest_version_that_fits_and_may_be_deployed) {
  const CompatibilitySet toaster{{"manufacturer", "Contoso"}, {"model", "Toaster"}};
  const auto found = installable(
      toaster,
      {update(id("1.9"), {{"model", "Toaster"}}), update(id("1.10"), toaster), update(id("3.0"), {{"model", "Kettle"}}),
       update(id("4.0"), {{"model", "Toaster"}, {"colour", "red"}}), update(id("9.0"), toaster, false)});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].id, id("1.10"));
  EXPECT_EQ(found[1].id, id("1.9"));
}

TEST(Compliance, each_device_is_in_exactly_one_of_three_counts) {
  const BestUpdates best{{kToaster, update(id("2.0"), {})}};
  const std::vector<store::FleetCount> counts{
      count(kToaster, id("2.0"), {}, {}, 1),                               // latest
      count(kToaster, id("2.0"), id("2.0"), DeviceState::in_progress, 2),  // latest, told again
      count(kToaster, id("1.0"), id("2.0"), DeviceState::in_progress, 4),  // in progress
      count(kToaster, id("1.0"), id("1.5"), DeviceState::in_progress, 8),  // an older one is on its way: new available
      count(kToaster, id("1.0"), id("2.0"), DeviceState::failed, 16),      // new available
      count(kToaster, {}, {}, {}, 32),                                     // new available
      count(kKettle, {}, {}, {}, 64),                                      // nothing fits: latest
      count(std::nullopt, id("1.0"), {}, {}, 128),                         // unhealthy: nowhere
  };
  const Compliance sum = compliance_of(counts, best);
  EXPECT_EQ(sum, (Compliance{.total = 127, .on_latest = 67, .new_available = 56, .in_progress = 4}));
  EXPECT_EQ(sum.total, sum.on_latest + sum.new_available + sum.in_progress);
}

}  // namespace godwit::service
