// Goal: the registry changes identities and twins under their preconditions, tells the observer inside the transaction
// and pushes only what was committed. Method: the real SQLite store, recorded pushes.
#include "server/hub/registry.hpp"

#include "server/hub/test_hub.hpp"

namespace godwit::hub {
namespace {

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() {
    auto store = store::open_sqlite_store(folder_.path() / "test.sqlite", trust::test_sealer(), clock_, log_);
    EXPECT_TRUE(store);
    store_ = std::move(*store);
  }
  Result<void> run(const store::Store::Job& job) { return store_->write(job); }
  void create(const std::string& id, NewIdentity wanted) {
    wanted.id = device_id(id);
    ASSERT_TRUE(run([&](store::Records& r) -> Result<void> {
      GODWIT_TRY(identity_, registry_.create(r, wanted));
      return {};
    }));
  }
  Result<void> change(const std::string& id, TwinChange change) {
    return run([&](store::Records& r) -> Result<void> {
      GODWIT_TRY(twin_, registry_.change_twin(r, device_id(id), change));
      return {};
    });
  }
  static json::Object parsed(std::string_view text) { return *json::parse_object(text); }
  std::vector<std::string> doings() {
    const std::lock_guard lock(mutex_);
    return doings_;
  }

  net::TestFolder folder_;
  FakeClock clock_;
  NullLog log_;
  RememberingObserver observer_;
  std::mutex mutex_;
  std::vector<std::string> doings_;
  Registry registry_{clock_,
                     observer_,
                     {.push =
                          [this](const IdentityId& id, const std::string& payload, std::uint64_t version) {
                            const std::lock_guard lock(mutex_);
                            doings_.push_back("push " + id.str() + " " + payload + " " + std::to_string(version));
                          },
                      .drop =
                          [this](const IdentityId& id, const std::string& reason) {
                            const std::lock_guard lock(mutex_);
                            doings_.push_back("drop " + id.str() + " " + reason);
                          },
                      .changed = [](const IdentityId&) {}}};
  store::DeviceIdentity identity_{.id = device_id("none")};
  store::TwinRecord twin_;
  std::unique_ptr<store::Store> store_;
};

TEST_F(RegistryTest, keys_are_made_when_none_are_given_and_kept_when_they_are) {
  create("dev1", {.id = device_id("x")});
  EXPECT_EQ(identity_.primary_key.reveal().size(), 32U);
  EXPECT_NE(identity_.primary_key.reveal(), identity_.secondary_key.reveal());
  EXPECT_FALSE(identity_.generation.empty());
  create("dev2", {.id = device_id("x"), .primary_key = "0123456789abcdef"});
  EXPECT_EQ(identity_.primary_key.reveal(), "0123456789abcdef");
  EXPECT_EQ(observer_.events(), (std::vector<std::string>{"created dev1", "created dev2"}));
}

TEST_F(RegistryTest, a_second_device_of_one_name_is_a_conflict) {
  create("dev1", {.id = device_id("x")});
  const auto again = run([&](store::Records& r) -> Result<void> {
    GODWIT_TRY(identity_, registry_.create(r, {.id = device_id("dev1")}));
    return {};
  });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::conflict);
}

TEST_F(RegistryTest, keys_have_16_to_64_bytes) {
  for (const std::size_t size : {std::size_t{15}, std::size_t{65}}) {
    const auto made = run([&](store::Records& r) -> Result<void> {
      GODWIT_TRY(identity_, registry_.create(r, {.id = device_id("dev1"), .primary_key = std::string(size, 'k')}));
      return {};
    });
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::invalid_argument);
  }
}

TEST_F(RegistryTest, an_update_checks_the_etag_and_drops_a_device_that_may_not_stay) {
  create("dev1", {.id = device_id("x")});
  const std::string old_key = identity_.primary_key.reveal();
  const auto update = [&](NewIdentity wanted, std::optional<std::uint64_t> etag) {
    return run([&](store::Records& r) -> Result<void> {
      GODWIT_TRY(identity_, registry_.update(r, wanted, etag));
      return {};
    });
  };
  EXPECT_EQ(update({.id = device_id("dev1")}, 9).error().code, Code::precondition_failed);
  EXPECT_EQ(update({.id = device_id("dev9")}, std::nullopt).error().code, Code::not_found);
  ASSERT_TRUE(update({.id = device_id("dev1"), .status_reason = "moved"}, 1));
  EXPECT_EQ(identity_.etag, 2U);
  EXPECT_EQ(identity_.primary_key.reveal(), old_key);
  EXPECT_TRUE(doings().empty());
  ASSERT_TRUE(update({.id = device_id("dev1"), .primary_key = "fedcba9876543210"}, std::nullopt));
  ASSERT_TRUE(update({.id = device_id("dev1"), .is_enabled = false}, std::nullopt));
  EXPECT_EQ(doings(), (std::vector<std::string>{"drop dev1 the keys of the device were changed",
                                                "drop dev1 the device was disabled"}));
}

TEST_F(RegistryTest, removing_tells_the_observer_and_drops_the_device) {
  create("dev1", {.id = device_id("x")});
  const auto remove = [&](std::optional<std::uint64_t> etag) {
    return run([&](store::Records& r) { return registry_.remove(r, device_id("dev1"), etag); });
  };
  EXPECT_EQ(remove(7).error().code, Code::precondition_failed);
  ASSERT_TRUE(remove(1));
  EXPECT_EQ(remove(std::nullopt).error().code, Code::not_found);
  EXPECT_EQ(observer_.events().back(), "removed dev1");
  EXPECT_EQ(doings(), (std::vector<std::string>{"drop dev1 the device was removed"}));
}

TEST_F(RegistryTest, a_desired_patch_is_pushed_as_written_with_its_version) {
  create("dev1", {.id = device_id("x")});
  ASSERT_TRUE(change("dev1", {.desired = parsed(R"({"a":{"b":1,"c":2}})")}));
  ASSERT_TRUE(change("dev1", {.desired = parsed(R"({"a":{"b":null},"$version":99,"$metadata":{}})")}));
  EXPECT_EQ(twin_.version, 3U);
  EXPECT_EQ(json::print(twin_.twin.desired.values), R"({"a":{"c":2}})");
  EXPECT_EQ(doings(), (std::vector<std::string>{R"(push dev1 {"a":{"b":1,"c":2},"$version":2} 2)",
                                                R"(push dev1 {"a":{"b":null},"$version":3} 3)"}));
}

TEST_F(RegistryTest, a_replaced_section_is_pushed_whole) {
  create("dev1", {.id = device_id("x")});
  ASSERT_TRUE(change("dev1", {.desired = parsed(R"({"a":1})")}));
  ASSERT_TRUE(change("dev1", {.tags = parsed(R"({"t":1})"), .desired = parsed(R"({"b":2})"), .is_replace = true}));
  EXPECT_EQ(doings().back(), R"(push dev1 {"b":2,"$version":3} 3)");
  EXPECT_EQ(observer_.events().back(), R"(tags dev1 {"t":1})");
  ASSERT_TRUE(change("dev1", {.tags = parsed(R"({"u":1})"), .is_replace = true}));
  EXPECT_EQ(json::print(twin_.twin.tags), R"({"u":1})");
}

// A tag may put the device into a group whose deployment is offered at once: a second desired change, made while the
// first is still being told.
TEST_F(RegistryTest, what_the_observer_changes_in_turn_is_pushed_after_the_change_that_caused_it) {
  observer_.answer_tags_with([this](store::Records& records, const IdentityId& id) -> Result<void> {
    GODWIT_TRY_VOID(registry_.change_twin(records, id, {.desired = parsed(R"({"offer":1})")}));
    return {};
  });
  create("dev1", {.id = device_id("x")});
  ASSERT_TRUE(change("dev1", {.tags = parsed(R"({"ADUGroup":"g"})"), .desired = parsed(R"({"a":null,"b":2})")}));
  EXPECT_EQ(doings(), (std::vector<std::string>{R"(push dev1 {"a":null,"b":2,"$version":2} 2)",
                                                R"(push dev1 {"offer":1,"$version":3} 3)"}));
  EXPECT_EQ(twin_.version, 3U) << "the answer is the twin as the transaction leaves it";
  EXPECT_EQ(json::print(twin_.twin.desired.values), R"({"b":2,"offer":1})");
}

TEST_F(RegistryTest, a_change_that_is_refused_pushes_nothing_and_changes_nothing) {
  create("dev1", {.id = device_id("x")});
  EXPECT_EQ(change("dev1", {.tags = parsed(R"({"t":1})"), .desired = parsed(R"({"a b":1})")}).error().code,
            Code::invalid_argument);
  EXPECT_EQ(change("dev1", {.desired = parsed(R"({"a":1})"), .if_version = 5}).error().code, Code::precondition_failed);
  EXPECT_EQ(change("dev9", {.desired = parsed(R"({"a":1})")}).error().code, Code::not_found);
  json::Object large;
  for (int i = 0; i < 10; ++i) large["k" + std::to_string(i)] = std::string(4000, 'x');
  EXPECT_EQ(change("dev1", {.desired = large}).error().code, Code::too_large);
  ASSERT_TRUE(change("dev1", {}));
  EXPECT_EQ(twin_.version, 1U);
  EXPECT_TRUE(twin_.twin.tags.empty());
  EXPECT_TRUE(doings().empty());
}

TEST_F(RegistryTest, what_is_rolled_back_is_not_pushed) {
  create("dev1", {.id = device_id("x")});
  const auto failed = run([&](store::Records& r) -> Result<void> {
    GODWIT_TRY(twin_, registry_.change_twin(r, device_id("dev1"), {.desired = parsed(R"({"a":1})")}));
    return fail(Code::refused, "changed our mind");
  });
  EXPECT_FALSE(failed);
  EXPECT_TRUE(doings().empty());
}

TEST_F(RegistryTest, a_reported_patch_knows_its_precondition_and_shares_its_fate_with_the_observer) {
  create("dev1", {.id = device_id("x")});
  std::uint64_t version = 0;
  const auto report = [&](std::string_view patch, std::optional<std::uint64_t> if_version) {
    return run([&](store::Records& r) -> Result<void> {
      GODWIT_TRY(version, registry_.patch_reported(r, device_id("dev1"), parsed(patch), if_version));
      return {};
    });
  };
  ASSERT_TRUE(report(R"({"a":1})", std::nullopt));
  EXPECT_EQ(version, 2U);
  EXPECT_EQ(observer_.events().back(), R"(reported dev1 {"a":1} -> 2)");
  EXPECT_EQ(report(R"({"a":2})", 1).error().code, Code::precondition_failed);
  ASSERT_TRUE(report(R"({"a":2})", 2));
  EXPECT_EQ(version, 3U);
  observer_.fail_with(Code::database_failed);
  EXPECT_EQ(report(R"({"a":3})", std::nullopt).error().code, Code::database_failed);
  ASSERT_TRUE(run([&](store::Records& r) -> Result<void> {
    GODWIT_TRY(const auto twin, r.devices().find_twin(device_id("dev1")));
    EXPECT_EQ(json::print(twin->twin.reported.values), R"({"a":2})");
    return {};
  }));
}

}  // namespace
}  // namespace godwit::hub
