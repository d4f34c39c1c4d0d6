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
      GODWIT_TRY(token, Access::create_token(records, name, role, clock_.now(), expires));
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
