// Random histories, one seed each: operators create, cancel, retry and delete; devices report, repeat old reports, move
// between groups and classes, come and go; time passes. After every step the records must be consistent; a failure
// prints the seed.
#include <map>

#include "core/base/random.hpp"
#include "server/service/rollout/rollout_bench.hpp"

namespace godwit::service {
namespace {

constexpr int kSteps = 120;
constexpr int kSeeds = 6;
constexpr std::size_t kChunk = 3;  // small, so that sweeps are interrupted all the time

using RowKey = std::pair<std::int64_t, std::string>;

struct World {
  std::map<RowKey, store::DeploymentDevice> rows;
  std::map<std::string, store::FleetDevice> devices;
  std::vector<store::SubgroupDeployment> subgroups;
};

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed), bench_(kChunk) {
    for (const char* version : {"1.0", "1.1", "2.0"}) bench_.import(update_id(version));
    bench_.import(update_id("1.0", "Kettle"), "Kettle");
    for (int i = 0; i < 9; ++i) bench_.add_device(name(i), group(), model());
    before_ = look();
  }

  void step() {
    const std::uint64_t choice = random_.below(16);
    if (choice < 2)
      create();
    else if (choice < 3)
      on_some_deployment([this](const GroupId& group, const DeploymentId& id) {
        static_cast<void>(bench_.rollout.cancel(group, id, some_class(), "ann"));
      });
    else if (choice < 5)
      on_some_deployment([this](const GroupId& group, const DeploymentId& id) {
        static_cast<void>(bench_.rollout.retry(group, id, some_class(), "ann"));
      });
    else if (choice < 6)
      on_some_deployment([this](const GroupId& group, const DeploymentId& id) {
        static_cast<void>(bench_.rollout.remove(group, id, some_class(), "ann"));
      });
    else if (choice < 12)
      report();
    else if (choice < 13)
      bench_.tag(device(), random_.below(5) == 0 ? "not valid" : group());
    else if (choice < 14)
      bench_.identify(device(), model());
    else if (choice < 15)
      come_or_go();
    else
      pass_time();
    check();
  }

 private:
  static std::string name(std::uint64_t i) { return "dev-" + std::to_string(i); }
  std::string group() { return random_.below(2) == 0 ? "plant" : "hall"; }
  std::string model() { return random_.below(4) == 0 ? "Kettle" : "Toaster"; }
  std::optional<DeviceClassId> some_class() {
    return random_.below(2) == 0 ? std::nullopt : std::optional(toaster_class(model()));
  }
  DeviceId device() {
    for (;;) {
      const auto id = device_id(name(random_.below(9)));
      if (before_.devices.contains(id.str())) return id;
    }
  }
  UpdateId update() {
    static const std::vector<UpdateId> all{update_id("1.0"), update_id("1.1"), update_id("2.0"),
                                           update_id("1.0", "Kettle")};
    return all[random_.below(all.size())];
  }

  void create() {
    std::optional<store::RollbackPolicy> policy;
    if (random_.below(3) == 0)
      policy = store::RollbackPolicy{.update = update_id("1.0"), .failed_percentage = 30, .failed_count = 1};
    static_cast<void>(bench_.deploy("d" + std::to_string(random_.below(12)), update(), group(),
                                    std::chrono::minutes(random_.below(3) * 20), policy));
  }

  template <class Verb>
  void on_some_deployment(Verb verb) {
    const GroupId where = group_id(group());
    const auto page = bench_.rollout.list(where, std::nullopt, {}, "");
    if (!page || page->values.empty()) return;
    const auto& one = page->values[random_.below(page->values.size())].as_object();
    verb(where, deployment_id(std::string_view(one.at("deploymentId").as_string())));
  }

  void report() {
    const auto id = device();
    twin::AgentReport made;
    switch (random_.below(6)) {
      case 0: made = bench_.report_on_goal(id, AgentState::in_progress, result::success); break;
      case 1: made = bench_.report_on_goal(id, AgentState::failed, result::failure); break;
      case 2: made = bench_.report_on_goal(id, AgentState::idle, result::cancelled); break;
      case 3:
        if (!old_.empty()) made = old_[random_.below(old_.size())];  // late, repeated or of another device
        break;
      default:
        made = bench_.report_on_goal(id, AgentState::idle, result::apply_ok);
        made.installed_update = update();  // the right one, or what was there
        break;
    }
    old_.push_back(made);
    bench_.patch(id, twin::report_patch(made));
  }

  void come_or_go() {
    const auto id = device_id(name(random_.below(9)));
    if (!before_.devices.contains(id.str()))
      bench_.add_device(id.str(), group(), model());
    else if (before_.devices.size() > 5)
      bench_.remove_device(id);
  }

  void pass_time() {
    bench_.clock.advance(std::chrono::minutes(random_.below(120)));
    RolloutBench::expect(bench_.rollout.tick());
    check_settled();
  }

  World look() {
    World world;
    RolloutBench::expect(bench_.store->read([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(auto devices, records.fleet().list_devices({}, "", 1000));
      for (auto& one : devices) world.devices.emplace(one.id.str(), one);
      for (const char* where : {"plant", "hall", "$default"}) {
        GODWIT_TRY(const auto deployments,
                   records.rollout().list_deployments(group_id(where), std::nullopt, {}, 0, 1000));
        for (const auto& deployment : deployments) {
          GODWIT_TRY(const auto subgroups, records.rollout().list_subgroups(deployment.number));
          world.subgroups.insert(world.subgroups.end(), subgroups.begin(), subgroups.end());
          GODWIT_TRY(const auto rows, records.rollout().list_devices(deployment.number, {}, "", 1000));
          for (const auto& row : rows) world.rows.emplace(RowKey{row.deployment, row.device.str()}, row);
        }
      }
      GODWIT_TRY(const auto fleet, records.fleet().counts(std::nullopt, std::nullopt));
      GODWIT_TRY(const auto fleet_again, records.fleet().recount());
      EXPECT_EQ(fleet, fleet_again) << "fleet counters";
      GODWIT_TRY(const auto counted, records.rollout().all_counts());
      GODWIT_TRY(const auto counted_again, records.rollout().recount());
      EXPECT_EQ(counted, counted_again) << "deployment counters";
      return {};
    }));
    return world;
  }

  void check() {
    const World now = look();
    std::map<std::pair<std::string, std::string>, int> active;
    for (const auto& one : now.subgroups)
      if (one.state == store::SubgroupDeploymentState::active) ++active[{one.group.str(), one.class_id.str()}];
    for (const auto& [where, count] : active) EXPECT_EQ(count, 1) << "active deployments of " << where.first;
    for (const auto& [key, row] : now.rows) {
      const auto old = before_.rows.find(key);
      const bool was_finished = old != before_.rows.end() && old->second.state != DeviceState::in_progress;
      if (was_finished && row.state == DeviceState::in_progress) {
        EXPECT_TRUE(row.workflow_id != old->second.workflow_id || row.retry_count > old->second.retry_count)
            << key.second << " works again unasked";
      }
      if (row.state != DeviceState::in_progress) continue;
      const auto device = now.devices.find(key.second);
      ASSERT_NE(device, now.devices.end());
      EXPECT_FALSE(row.moved_on) << key.second;
      EXPECT_EQ(device->second.deployment, row.deployment) << key.second;
      EXPECT_EQ(device->second.state, DeviceState::in_progress) << key.second;
      const auto goal = bench_.goal(row.device);
      EXPECT_EQ(goal.workflow_id, row.workflow_id) << "the twin holds the goal of " << key.second;
      EXPECT_EQ(goal.retry_timestamp, row.retry_timestamp);
      EXPECT_EQ(goal.action, twin::Action::process_deployment);
    }
    for (const auto& [id, device] : now.devices) {
      const auto row = now.rows.find({device.deployment, id});
      const auto expected = row == now.rows.end() ? device.state : row->second.state;
      EXPECT_EQ(device.state, expected) << id << " mirrors its newest deployment";
      EXPECT_FALSE(row == now.rows.end() && device.state == DeviceState::in_progress)
          << id << " waits for a deployment that is gone";
    }
    before_ = now;
  }

  /// When the planner has nothing left to do.
  void check_settled() {
    const World now = look();
    for (const auto& one : now.subgroups) {
      EXPECT_EQ(one.sweep, store::Sweep::none);
      for (const auto& [key, row] : now.rows) {
        const bool is_canceled = key.first == one.deployment && row.class_id == one.class_id &&
                                 one.state == store::SubgroupDeploymentState::canceled;
        EXPECT_FALSE(is_canceled && row.state == DeviceState::in_progress) << key.second;
      }
      if (one.state != store::SubgroupDeploymentState::active) continue;
      for (const auto& [id, device] : now.devices) {
        if (device.group != one.group || device.class_id != one.class_id) continue;
        const auto row = now.rows.find({one.deployment, id});
        ASSERT_NE(row, now.rows.end()) << id << " was not offered the active deployment";
        EXPECT_FALSE(row->second.moved_on) << id;
      }
    }
  }

  SeededRandom random_;
  RolloutBench bench_;
  std::vector<twin::AgentReport> old_;
  World before_;
};

}  // namespace

TEST(RolloutInvariants, hold_after_every_step_of_random_histories) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    History history(seed);
    for (int i = 0; i < kSteps; ++i) {
      history.step();
      ASSERT_FALSE(HasFailure()) << "seed " << seed << ", step " << i;
    }
  }
}

}  // namespace godwit::service
