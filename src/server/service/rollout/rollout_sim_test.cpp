// A simulation of deployments over the real store with a virtual clock: a fleet of agents that work, fail, fall silent,
// reconnect and begin again; a network that delays, repeats and reorders; operators who do everything they may; a
// service that loses transactions and restarts. After each round the records must be consistent; at the end nothing may
// be in progress. GODWIT_SEED, GODWIT_SIM_DEVICES and GODWIT_SIM_ROUNDS set the size; the seed is printed.
#include <cstdlib>
#include <map>
#include <queue>
#include <set>

#include "core/base/random.hpp"
#include "core/base/text.hpp"
#include "server/service/rollout/rollout_bench.hpp"

namespace godwit::service {
namespace {

using State = store::SubgroupDeploymentState;
using RowKey = std::pair<std::int64_t, std::string>;

constexpr Deadlines kDeadlines{.silence = std::chrono::hours(48), .total = std::chrono::hours(96)};
constexpr std::size_t kBatch = 200;
constexpr std::size_t kAll = 10'000'000;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : to_number<std::uint64_t>(text).value_or(otherwise);
}

/// The service's half; torn down and opened again on the same folder.
struct Service {
  Service(const Path& file, FakeClock& clock, Log& log, std::set<std::string>& told)
      : store(store::open_sqlite_store(file, trust::test_sealer(), clock, log).value()),
        catalog(*store, clock),
        inventory(*store, clock),
        urls("https://host:8443", Secret(std::string(32, 'k')), std::chrono::hours(40)),
        rollout(*store, clock, log, catalog, inventory, urls,
                [&clock, &told](store::Records& records, const IdentityId& id, const json::Object& patch) {
                  told.insert(id.str());
                  return set_desired(records, id, patch, clock.now());
                },
                {.limits = {.chunk = 100}, .deadlines = kDeadlines}) {
    catalog.set_in_use(Rollout::is_update_in_use);
  }
  static Result<void> set_desired(store::Records& records, const IdentityId& id, const json::Object& patch,
                                  WallTime now) {
    GODWIT_TRY(auto record, records.devices().find_twin(id));
    if (!record) return fail(Code::not_found, "no device");
    GODWIT_TRY_VOID(twin::merge(record->twin.desired, patch, now, {}));
    return records.devices().save_twin(id, *record);
  }
  std::unique_ptr<store::Store> store;
  Catalog catalog;
  Inventory inventory;
  DownloadUrls urls;
  Rollout rollout;
};

/// What one agent remembers.
struct Agent {
  IdentityId id;
  std::string done{};  // workflow and stamp that it has taken up
  bool is_silent = false;
};

struct Message {
  WallTime at{};
  std::uint64_t order = 0;
  std::size_t agent = 0;
  json::Object patch{};
  bool operator>(const Message& other) const { return std::pair(at, order) > std::pair(other.at, other.order); }
};

class Simulation {
 public:
  Simulation(std::uint64_t seed, std::uint64_t devices) : random_(seed) {
    open();
    for (const char* version : {"1.0", "1.1", "2.0"}) import(update_id(version), "Toaster");
    import(update_id("1.0", "Kettle"), "Kettle");
    for (std::uint64_t i = 0; i < devices; ++i)
      agents_.push_back({.id = IdentityId(device_id("dev-" + std::to_string(i)))});
    for (std::size_t from = 0; from < agents_.size(); from += kBatch)
      enrol(from, std::min(from + kBatch, agents_.size()));
  }

  void round() {
    for (int i = 0; i < 3; ++i) operate();
    check_thresholds(false);
    if (chance(12)) open();
    clock_.advance(std::chrono::minutes(random_.below(180)));
    network();
    for (int i = 0; i < 4; ++i) disturb(any_agent());
    check_thresholds(false);
    tick();
    check(false);
  }

  /// No operator does anything more; all time that there is passes.
  void settle() {
    for (int i = 0; i < 80; ++i) {
      clock_.advance(std::chrono::hours(2));
      network();
      tick();
    }
    check(true);
  }
  std::map<std::string, std::uint64_t> counts{};

 private:
  [[nodiscard]] bool chance(std::uint64_t one_in) { return random_.below(one_in) == 0; }
  std::size_t any_agent() { return static_cast<std::size_t>(random_.below(agents_.size())); }
  std::string group() { return chance(2) ? "plant" : "hall"; }
  std::string model() { return chance(4) ? "Kettle" : "Toaster"; }
  UpdateId update() {
    const std::uint64_t which = random_.below(versions_.size() + 1);
    return which == versions_.size() ? update_id("1.0", "Kettle") : versions_[which];
  }

  void open() {
    service_.reset();
    service_ = std::make_unique<Service>(folder_.path() / "sim.sqlite", clock_, log_, told_);
    ++counts["starts"];
  }

  void import(const UpdateId& id, const std::string& model) {
    const std::string text = "manifest of " + id.str();
    store::UpdateRecord record;
    record.summary = {.id = id, .compatibility = {{{"manufacturer", "Contoso"}, {"model", model}}}};
    record.import_manifest = "{}";
    record.etag = "e";
    const store::OfferRecord offer{.whole_manifest = text, .manifest = text, .signature = "s"};
    RolloutBench::expect(service_->store->write([&](store::Records& records) {
      return records.catalog().insert_update(record, {{4, offer}, {5, offer}});
    }));
    if (model == "Toaster") versions_.push_back(id);
  }

  Result<void> make_identity(store::Records& records, const IdentityId& id) {
    store::DeviceIdentity identity{.id = id,
                                   .primary_key = Secret(std::string(32, 'a')),
                                   .secondary_key = Secret(std::string(32, 'b')),
                                   .generation = "g",
                                   .created = clock_.now()};
    GODWIT_TRY_VOID(records.devices().insert_identity(identity, clock_.now()));
    return service_->rollout.on_device_created(records, id);
  }

  Result<void> set_tag(store::Records& records, const IdentityId& id, const json::Value& value) {
    GODWIT_TRY(auto record, records.devices().find_twin(id));
    if (!record) return {};
    record->twin.tags["ADUGroup"] = value;
    GODWIT_TRY_VOID(records.devices().save_twin(id, *record));
    return service_->rollout.on_tags(records, id, record->twin);
  }

  Result<void> report(store::Records& records, const IdentityId& id, const json::Object& patch) {
    GODWIT_TRY(auto record, records.devices().find_twin(id));
    if (!record) return {};
    GODWIT_TRY_VOID(twin::merge(record->twin.reported, patch, clock_.now(), {}));
    GODWIT_TRY_VOID(records.devices().save_twin(id, *record));
    return service_->rollout.on_twin_changed(records, id, record->twin, patch);
  }

  json::Object who(const std::string& of_model) {
    twin::AgentIdentity identity;
    identity.properties = {{"manufacturer", "Contoso"}, {"model", of_model}};
    identity.compat_property_names = {"manufacturer", "model"};
    return twin::identity_patch(identity);
  }

  void enrol(std::size_t from, std::size_t to) {
    RolloutBench::expect(service_->store->write([&](store::Records& records) -> Result<void> {
      for (std::size_t i = from; i < to; ++i) {
        GODWIT_TRY_VOID(make_identity(records, agents_[i].id));
        GODWIT_TRY_VOID(set_tag(records, agents_[i].id, json::Value(group())));
        GODWIT_TRY_VOID(report(records, agents_[i].id, who(model())));
      }
      return {};
    }));
  }

  // ---- operators
  void operate() {
    auto& rollout = service_->rollout;
    const GroupId where = group_id(group());
    const auto page = rollout.list(where, std::nullopt, {.is_descending = true}, "");
    std::string chosen = "d" + std::to_string(random_.below(1'000'000));
    if (page && !page->values.empty()) {
      const auto& one = page->values[random_.below(std::min<std::size_t>(page->values.size(), 4))].as_object();
      chosen = std::string(one.at("deploymentId").as_string());
    }
    const DeploymentId id = deployment_id(chosen);
    const IdentityId& device = agents_[any_agent()].id;
    const auto some_class = chance(2) ? std::nullopt : std::optional(toaster_class(model()));
    switch (random_.below(9)) {
      case 0:
      case 1: note("created", create(where)); break;
      case 2: note("cancelled", rollout.cancel(where, id, some_class, "ann")); break;
      case 3:
        if (note("retried", rollout.retry(where, id, some_class, "ann"))) ++retries_[where.str() + "/" + chosen];
        break;
      case 4: note("cancelled one", rollout.cancel_device(where, id, device, "ann")); break;
      case 5:
        if (note("retried one", rollout.retry_device(where, id, device, "ann"))) ++retries_[where.str() + "/" + chosen];
        break;
      case 6: note("deleted", rollout.remove(where, id, some_class, "ann")); break;
      case 7:
        if (versions_.size() < 8) import(update_id("2." + std::to_string(versions_.size())), "Toaster");
        break;
      default: note("synced", service_->inventory.start_sync("All", "ann")); break;
    }
  }

  Result<json::Object> create(const GroupId& where) {
    std::optional<store::RollbackPolicy> policy;
    if (chance(2))
      policy = store::RollbackPolicy{.update = update_id("1.0"),
                                     .failed_percentage = static_cast<std::int32_t>(1 + random_.below(40)),
                                     .failed_count = static_cast<std::int32_t>(1 + random_.below(4))};
    return service_->rollout.create({.group = where,
                                     .id = deployment_id("d" + std::to_string(++made_)),
                                     .update = update(),
                                     .start = clock_.now() + std::chrono::minutes(random_.below(3) * 200),
                                     .rollback = policy},
                                    "ann");
  }

  template <class Value>
  bool note(const char* what, const Result<Value>& done) {
    if (done) ++counts[what];
    return done.has_value();
  }

  // ---- devices
  /// Re-tagged, of another class, removed, made again, reconnected, fallen silent.
  void disturb(std::size_t i) {
    Agent& agent = agents_[i];
    const std::uint64_t what = random_.below(6);
    if (what == 0) agent.is_silent = !agent.is_silent;
    if (what == 1) agent.done.clear();  // it has reconnected and begins again
    told_.insert(agent.id.str());
    RolloutBench::expect(service_->store->write([&](store::Records& records) -> Result<void> {
      if (what == 2) return set_tag(records, agent.id, chance(6) ? json::Value("not valid") : json::Value(group()));
      if (what == 3) return report(records, agent.id, who(model()));
      if (what != 4) return {};
      GODWIT_TRY_VOID(service_->rollout.on_device_removed(records, agent.id));
      GODWIT_TRY([[maybe_unused]] const bool was_there, records.devices().remove_identity(agent.id));
      GODWIT_TRY_VOID(make_identity(records, agent.id));
      GODWIT_TRY_VOID(set_tag(records, agent.id, json::Value(group())));
      return report(records, agent.id, who(model()));
    }));
    if (what == 4) ++counts["made again"];
  }

  void say(std::size_t agent, const twin::AgentReport& made) {
    // Each copy takes its own way: late, twice, or before what was said earlier.
    for (std::uint64_t copies = chance(8) ? 2 : 1; copies > 0; --copies)
      waiting_.push({.at = clock_.now() + std::chrono::minutes(random_.below(chance(10) ? 3000 : 200)),
                     .order = ++order_,
                     .agent = agent,
                     .patch = twin::report_patch(made)});
  }

  void work(std::size_t i, const twin::DesiredUpdate& goal, const std::optional<UpdateId>& wanted) {
    Agent& agent = agents_[i];
    const std::string key =
        goal.workflow_id + "|" + goal.retry_timestamp + "|" + std::to_string(static_cast<int>(goal.action));
    if (agent.is_silent || goal.workflow_id.empty() || agent.done == key) return;
    agent.done = key;
    twin::AgentReport made;
    made.workflow_id = goal.workflow_id;
    made.retry_timestamp = goal.retry_timestamp;
    made.action = goal.action;
    made.result = InstallResult{};
    if (goal.action == twin::Action::cancel) {
      made.result->result_code = result::cancelled;
      return say(i, made);
    }
    made.state = AgentState::in_progress;
    made.result->result_code = result::success;
    say(i, made);
    const std::uint64_t end = random_.below(20);
    if (end == 0) return;  // never heard of again
    made.state = end < 5 ? AgentState::failed : AgentState::idle;
    made.result->result_code = end < 6 ? result::failure : result::apply_ok;
    if (end >= 6) made.installed_update = wanted;
    say(i, made);
  }

  /// Agents that were told read their goal; what has arrived is reported, in transactions that sometimes are lost.
  void network() {
    std::set<std::string> told;
    told.swap(told_);
    RolloutBench::expect(service_->store->read([&](store::Records& records) -> Result<void> {
      for (std::size_t i = 0; i < agents_.size(); ++i) {
        if (!told.contains(agents_[i].id.str())) continue;
        GODWIT_TRY(const auto record, records.devices().find_twin(agents_[i].id));
        GODWIT_TRY(const auto goal, twin::read_desired(record->twin.desired.values));
        if (goal) work(i, *goal, update_of(goal->manifest));
      }
      return {};
    }));
    while (!waiting_.empty() && waiting_.top().at <= clock_.now()) {
      std::vector<Message> batch;
      while (batch.size() < kBatch && !waiting_.empty() && waiting_.top().at <= clock_.now()) {
        batch.push_back(waiting_.top());
        waiting_.pop();
      }
      deliver(batch);
    }
  }

  void deliver(const std::vector<Message>& batch) {
    const bool is_lost = chance(10);
    const auto done = service_->store->write([&](store::Records& records) -> Result<void> {
      for (const Message& message : batch) GODWIT_TRY_VOID(report(records, agents_[message.agent].id, message.patch));
      return is_lost ? fail(Code::io_failed, "lost") : Result<void>{};
    });
    counts[is_lost ? "reports lost" : "reports"] += batch.size();
    if (is_lost) return deliver(batch);  // nobody acknowledged them
    RolloutBench::expect(done);
    check_thresholds();
  }

  static std::optional<UpdateId> update_of(const std::string& manifest) {
    constexpr std::string_view kPrefix = "manifest of Contoso/";
    const std::string rest = manifest.substr(std::min(manifest.size(), kPrefix.size()));
    const auto slash = rest.find('/');
    if (slash == std::string::npos) return std::nullopt;
    return update_id(rest.substr(slash + 1), rest.substr(0, slash));
  }

  void tick() {
    RolloutBench::expect(service_->rollout.tick());
    check_thresholds();
  }

  // ---- what must hold
  template <class Visit>
  Result<void> each_deployment(store::Records& records, Visit visit) {
    for (const char* where : {"plant", "hall", "$default"}) {
      GODWIT_TRY(const auto all, records.rollout().list_deployments(group_id(where), std::nullopt, {}, 0, kAll));
      for (const auto& deployment : all) GODWIT_TRY_VOID(visit(deployment));
    }
    return {};
  }

  /// An active deployment whose failures have grown is below its thresholds: else it would have been rolled back. One
  /// that was rolled back had reached them. Rows that change their class are no failure: they are only counted anew.
  void check_thresholds(bool is_judging = true) {
    RolloutBench::expect(service_->store->read([&](store::Records& records) {
      return each_deployment(records, [&](const store::DeploymentRecord& deployment) -> Result<void> {
        if (deployment.is_rollback && rollbacks_.insert(deployment.number).second) ++counts["rollbacks"];
        if (!deployment.rollback) return {};
        GODWIT_TRY(const auto subgroups, records.rollout().list_subgroups(deployment.number));
        for (const auto& one : subgroups) {
          if (one.state != State::active) continue;
          GODWIT_TRY(const SubgroupTotals totals, totals_of(records, one));
          auto& before = failed_[{deployment.number, one.class_id.str()}];
          const bool is_more = totals.failed > before;
          before = totals.failed;
          EXPECT_FALSE(is_judging && is_more && must_roll_back(*deployment.rollback, totals.failed, totals.total))
              << deployment.id.str() << ": " << totals.failed << " of " << totals.total << " failed";
        }
        return {};
      });
    }));
  }

  void check_row(const store::DeploymentDevice& row, const State state, bool is_settled) {
    const auto old = before_.find({row.deployment, row.device.str()});
    const bool was_finished = old != before_.end() && old->second.state != DeviceState::in_progress;
    if (was_finished && old->second.workflow_id == row.workflow_id && old->second.retry_count == row.retry_count) {
      const bool is_same = row.state == old->second.state;
      const bool is_late = old->second.state == DeviceState::failed && row.state == DeviceState::succeeded;
      EXPECT_TRUE(is_same || is_late) << row.device.str() << " finished, and is something else now";
    }
    if (row.state != DeviceState::in_progress) return;
    EXPECT_FALSE(row.moved_on) << row.device.str();
    EXPECT_TRUE(working_.insert(row.device.str()).second) << row.device.str() << " has two live workflows";
    EXPECT_FALSE(is_settled) << row.device.str() << " is in progress for ever";
    EXPECT_NE(state, State::canceled) << row.device.str() << " goes on with a cancelled deployment";
    EXPECT_LT(clock_.now(), row.began + kDeadlines.total) << row.device.str();
  }

  void check(bool is_settled) {
    std::map<RowKey, store::DeploymentDevice> rows;
    std::set<std::string> active;
    working_.clear();
    RolloutBench::expect(service_->store->read([&](store::Records& records) -> Result<void> {
      EXPECT_EQ(records.fleet().counts(std::nullopt, std::nullopt).value(), records.fleet().recount().value());
      EXPECT_EQ(records.rollout().all_counts().value(), records.rollout().recount().value());
      GODWIT_TRY_VOID(each_deployment(records, [&](const store::DeploymentRecord& deployment) -> Result<void> {
        std::map<std::string, State> states;
        GODWIT_TRY(const auto subgroups, records.rollout().list_subgroups(deployment.number));
        for (const auto& one : subgroups) {
          states.emplace(one.class_id.str(), one.state);
          const std::string place = one.group.str() + "/" + one.class_id.str();
          EXPECT_TRUE(one.state != State::active || active.insert(place).second) << "two active in " << place;
        }
        GODWIT_TRY(auto all, records.rollout().list_devices(deployment.number, {}, "", kAll));
        const std::uint64_t asked = retries_[deployment.group.str() + "/" + deployment.id.str()];
        for (auto& row : all) {
          EXPECT_LE(static_cast<std::uint64_t>(row.retry_count), asked) << row.device.str() << " was not asked again";
          check_row(row, states.at(row.class_id.str()), is_settled);
          rows.emplace(RowKey{row.deployment, row.device.str()}, std::move(row));
        }
        return {};
      }));
      GODWIT_TRY(const auto devices, records.fleet().list_devices({}, "", kAll));
      EXPECT_EQ(devices.size(), agents_.size());
      for (const auto& device : devices) {
        const auto row = rows.find({device.deployment, device.id.str()});
        const bool is_working = row != rows.end() && row->second.state == DeviceState::in_progress;
        EXPECT_EQ(device.state == DeviceState::in_progress, is_working) << device.id.str();
        if (row == rows.end()) continue;
        EXPECT_EQ(device.state, row->second.state) << device.id.str();
        if (is_working) check_goal(records, row->second);
      }
      return {};
    }));
    before_ = std::move(rows);
  }

  static void check_goal(store::Records& records, const store::DeploymentDevice& row) {
    const auto twin = records.devices().find_twin(row.device).value();
    const auto goal = twin::read_desired(twin->twin.desired.values).value();
    ASSERT_TRUE(goal) << row.device.str();
    EXPECT_EQ(goal->workflow_id, row.workflow_id) << row.device.str();
    EXPECT_EQ(goal->retry_timestamp, row.retry_timestamp) << row.device.str();
    EXPECT_EQ(goal->action, twin::Action::process_deployment) << row.device.str();
  }

  SeededRandom random_;
  store::TemporaryFolder folder_;
  FakeClock clock_;
  NullLog log_;
  std::set<std::string> told_;
  std::unique_ptr<Service> service_;
  std::vector<UpdateId> versions_;
  std::vector<Agent> agents_;
  std::priority_queue<Message, std::vector<Message>, std::greater<>> waiting_;
  std::uint64_t order_ = 0;
  std::uint64_t made_ = 0;
  std::map<std::string, std::uint64_t> retries_;
  std::map<RowKey, store::DeploymentDevice> before_;
  std::map<RowKey, std::uint64_t> failed_;
  std::set<std::int64_t> rollbacks_;
  std::set<std::string> working_;
};

}  // namespace

TEST(RolloutSimulation, holds_its_invariants_through_failures_restarts_and_everything_operators_do) {
  const std::uint64_t seed = number_from("GODWIT_SEED", 20261125);
  const std::uint64_t devices = number_from("GODWIT_SIM_DEVICES", 120);
  const std::uint64_t rounds = number_from("GODWIT_SIM_ROUNDS", 60);
  std::printf("seed %llu, %llu devices, %llu rounds\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(devices), static_cast<unsigned long long>(rounds));
  Simulation simulation(seed, devices);
  for (std::uint64_t i = 0; i < rounds; ++i) {
    simulation.round();
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << ", round " << i;
  }
  simulation.settle();
  for (const auto& [what, count] : simulation.counts)
    std::printf("  %s: %llu\n", what.c_str(), static_cast<unsigned long long>(count));
}

}  // namespace godwit::service
