#include "server/api/access.hpp"

#include <gtest/gtest.h>

#include "core/trust/test_sealer.hpp"
#include "server/net/test_peer.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace godwit::api {
namespace {

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() {
    auto opened = store::open_sqlite_store(folder_.path() / "db.sqlite", trust::test_sealer(), clock_, log_);
    GODWIT_CHECK(opened.has_value());
    store_ = *std::move(opened);
  }
  Secret make(std::string_view name, Role role, std::optional<WallTime> expires = std::nullopt) {
    Secret token;
    const auto job = [&](store::Records& records) -> Result<void> {
      GODWIT_TRY(token,
                 Access::create_token(records, NewToken{.name = std::string(name), .role = role, .expires = expires},
                                      clock_.now()));
      return {};
    };
    EXPECT_TRUE(store_->write(job));
    return token;
  }
  net::TestFolder folder_;
  FakeClock clock_;
  NullLog log_;
  std::unique_ptr<store::Store> store_;
};

TEST_F(AccessTest, a_token_is_found_once_in_the_store_and_then_in_memory) {
  Access access(clock_, *store_);
  const std::string header = "Bearer " + make("ci", Role::content_reader).reveal();
  EXPECT_EQ(header.size(), 7 + 4 + 43U);
  ASSERT_TRUE(access.recall(header, "1.2.3.4"));
  EXPECT_FALSE(*access.recall(header, "1.2.3.4")) << "not known yet";
  const auto caller = access.look_up(header, "1.2.3.4");
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->name, "ci");
  EXPECT_EQ((*access.recall("bearer   " + header.substr(7), "1.2.3.4"))->role, Role::content_reader);
  clock_.advance(Access::kMemory);
  EXPECT_FALSE(*access.recall(header, "1.2.3.4")) << "a removed token must not live on";
}

TEST_F(AccessTest, only_the_digest_is_stored) {
  const Secret token = make("ci", Role::reader);
  std::vector<store::TokenRecord> tokens;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(tokens, records.access().list_tokens());
    return {};
  };
  ASSERT_TRUE(store_->read(job));
  ASSERT_EQ(tokens.size(), 1U);
  EXPECT_EQ(tokens[0].sha256, sha256(token.reveal()));
}

TEST_F(AccessTest, a_removed_token_is_forgotten_at_once_also_by_a_look_up_under_way) {
  const std::string header = "Bearer " + make("ci", Role::reader).reveal();
  Access access(clock_, *store_);
  ASSERT_TRUE(access.look_up(header, "a"));
  ASSERT_TRUE(*access.recall(header, "a"));
  access.forget_tokens();
  EXPECT_FALSE(*access.recall(header, "a"));
  // The reader of this store stands for a look-up that read the token just before it was removed.
  struct Late final : store::Store {
    store::Store& store;
    std::function<void()> meanwhile;
    explicit Late(store::Store& real) : store(real) {}
    void submit(Job job, Done done) override { store.submit(std::move(job), std::move(done)); }
    Result<void> read(const Job& job) override {
      auto outcome = store.read(job);
      meanwhile();
      return outcome;
    }
  } late(*store_);
  Access second(clock_, late);
  late.meanwhile = [&] { second.forget_tokens(); };
  ASSERT_TRUE(second.look_up(header, "a"));
  EXPECT_FALSE(*second.recall(header, "a")) << "kept what it had read before the token was removed";
}

TEST_F(AccessTest, the_last_use_is_noted_once_a_minute) {
  const std::string header = "Bearer " + make("ci", Role::reader).reveal();
  Access access(clock_, *store_);
  const auto last_used = [&] {
    std::optional<WallTime> time;
    // A write comes behind all that were submitted before it.
    EXPECT_TRUE(store_->write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(const auto token, records.access().find_token_named("ci"));
      time = token->last_used;
      return {};
    }));
    return time;
  };
  EXPECT_EQ(last_used(), std::nullopt);
  const WallTime first = clock_.now();
  ASSERT_TRUE(access.look_up(header, "a"));
  EXPECT_EQ(last_used(), first);
  clock_.advance(Access::kUseStep / 2);
  ASSERT_TRUE(access.look_up(header, "a"));
  EXPECT_EQ(last_used(), first);
  clock_.advance(Access::kUseStep);
  ASSERT_TRUE(access.look_up(header, "a"));
  EXPECT_EQ(last_used(), clock_.now());
}

TEST_F(AccessTest, a_token_for_one_instance_opens_no_other) {
  const Caller everywhere{.name = "root", .role = Role::administrator};
  const Caller here{.name = "ci", .role = Role::administrator, .instance = "main"};
  EXPECT_TRUE(check_instance(everywhere, "main") && check_instance(here, "main"));
  const auto refused = check_instance(here, "other");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::forbidden);
  EXPECT_EQ(refused.error().message, "'ci' is a token for the instance 'main' only, this is 'other'");
}

TEST_F(AccessTest, a_name_that_would_break_a_log_line_and_a_past_expiry_are_refused) {
  const auto outcome = [&](NewToken wanted) {
    Code code = Code::ok;
    const auto job = [&](store::Records& records) -> Result<void> {
      if (const auto made = Access::create_token(records, wanted, clock_.now()); !made) code = made.error().code;
      return {};
    };
    EXPECT_TRUE(store_->write(job));
    return code;
  };
  EXPECT_EQ(outcome({.name = ""}), Code::invalid_argument);
  EXPECT_EQ(outcome({.name = "a\nb"}), Code::invalid_argument);
  EXPECT_EQ(outcome({.name = std::string(65, 'x')}), Code::invalid_argument);
  EXPECT_EQ(outcome({.name = "late", .expires = clock_.now()}), Code::invalid_argument);
  EXPECT_EQ(outcome({.name = "fine"}), Code::ok);
  EXPECT_EQ(outcome({.name = "fine"}), Code::conflict);
}

TEST_F(AccessTest, wrong_schemes_and_unknown_tokens_are_unauthorized) {
  Access access(clock_, *store_);
  for (const char* header : {"", "Bearer", "Bearer ", "Basic YTpi", "SharedAccessSignature sr=x", "gwt_abc"}) {
    const auto known = access.recall(header, "a");
    ASSERT_FALSE(known) << header;
    EXPECT_EQ(known.error().code, Code::unauthorized) << header;
  }
  EXPECT_EQ(access.look_up("Bearer gwt_nobody", "a").error().code, Code::unauthorized);
}

TEST_F(AccessTest, an_expired_token_is_refused_also_from_memory) {
  Access access(clock_, *store_);
  const std::string header = "Bearer " + make("guest", Role::reader, clock_.now() + std::chrono::seconds(5)).reveal();
  ASSERT_TRUE(access.look_up(header, "a"));
  clock_.advance(std::chrono::seconds(6));
  EXPECT_FALSE(*access.recall(header, "a"));
  const auto late = access.look_up(header, "a");
  ASSERT_FALSE(late);
  EXPECT_NE(late.error().message.find("expired"), std::string::npos);
}

TEST_F(AccessTest, an_address_that_keeps_failing_waits_but_known_tokens_go_on) {
  Access access(clock_, *store_);
  const std::string good = "Bearer " + make("ci", Role::reader).reveal();
  ASSERT_TRUE(access.look_up(good, "a"));
  for (int i = 0; i <= Access::kFreeFailures; ++i)
    EXPECT_FALSE(access.look_up("Bearer wrong" + std::to_string(i), "a"));
  EXPECT_EQ(access.recall("Bearer wrong", "a").error().code, Code::too_many);
  EXPECT_TRUE(access.recall("Bearer wrong", "b")) << "another address";
  EXPECT_TRUE(*access.recall(good, "a"));
  clock_.advance(std::chrono::minutes(3));
  EXPECT_TRUE(access.recall("Bearer wrong", "a"));
}

TEST(Permissions, the_table_grants_what_the_roles_of_the_original_do) {
  using enum Permission;
  for (const Permission permission :
       {updates_read, updates_write, updates_delete, management_read, management_write, management_delete, hub_read,
        hub_write, access_write, registry_read, registry_write, device_connect})
    EXPECT_TRUE(allows(Role::administrator, permission));
  EXPECT_FALSE(allows(Role::reader, updates_write));
  EXPECT_TRUE(allows(Role::reader, registry_read) && allows(Role::reader, hub_read));
  EXPECT_FALSE(allows(Role::reader, registry_write) || allows(Role::reader, hub_write));
  EXPECT_TRUE(allows(Role::hub_administrator, registry_write) && allows(Role::hub_administrator, hub_write));
  EXPECT_FALSE(allows(Role::content_administrator, management_read));
  EXPECT_TRUE(allows(Role::deployments_administrator, management_delete));
  EXPECT_FALSE(allows(Role::deployments_administrator, updates_write));
  EXPECT_FALSE(allows(Role::hub_administrator, updates_read));
  EXPECT_TRUE(allows(Role::content_reader, none));
  for (const RoleRow& row : kRoles) EXPECT_EQ(parse_role(row.name), row.role);
  EXPECT_EQ(parse_role("root"), std::nullopt);
  const auto refused = check_permission(Caller{.name = "bob", .role = Role::reader}, updates_write);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "'bob' is reader, which does not include the permission updates/write");
}

}  // namespace
}  // namespace godwit::api
