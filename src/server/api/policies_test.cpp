#include "server/api/policies.hpp"

#include <gtest/gtest.h>

#include "core/trust/sas.hpp"
#include "server/store/testing.hpp"

namespace godwit::api {
namespace {

using trust::make_sas;

class PoliciesTest : public ::testing::Test {
 protected:
  PoliciesTest() { GODWIT_CHECK(policies.load(*db.store).has_value()); }

  store::SharedAccessPolicy stored(const std::string& name) {
    std::optional<store::SharedAccessPolicy> found;
    GODWIT_CHECK(db.store
                     ->read([&](store::Records& records) -> Result<void> {
                       GODWIT_TRY(found, records.policies().find(name));
                       return {};
                     })
                     .has_value());
    return found.value();
  }
  std::int64_t now() const { return to_unix_ms(db.clock.now()) / 1000; }
  std::string token(const std::string& policy, const std::string& scope = "hub.example") {
    return make_sas(scope, stored(policy).primary_key.reveal(), now() + 3600, policy);
  }
  std::string refusal(const std::string& text) {
    const auto checked = policies.check(text);
    EXPECT_FALSE(checked) << text;
    if (checked) return {};
    EXPECT_EQ(checked.error().code, Code::unauthorized);
    return checked.error().message;
  }
  template <class Change>
  auto change(Change make) {
    decltype(make(std::declval<store::Records&>())) outcome{};
    const auto written = db.store->write([&](store::Records& records) -> Result<void> {
      outcome = make(records);
      if (!outcome) return tl::unexpected<Error>{outcome.error()};
      return {};
    });
    EXPECT_EQ(written.has_value(), outcome.has_value());
    return outcome;
  }

  store::TestStore db;
  Policies policies{db.clock, {"hub.example", "localhost"}};
};

TEST(Rights, open_routes_of_the_hub_and_no_others) {
  using enum Permission;
  EXPECT_EQ(permissions_of(1), bit(registry_read) | bit(hub_read));
  EXPECT_EQ(permissions_of(2), bit(registry_read) | bit(registry_write) | bit(hub_read));
  EXPECT_EQ(permissions_of(4), bit(hub_read) | bit(hub_write));
  EXPECT_EQ(permissions_of(8), bit(device_connect));
  const std::uint32_t all = permissions_of(0xFF);
  for (const Permission other : {updates_read, updates_write, updates_delete, management_read, management_write,
                                 management_delete, access_write})
    EXPECT_EQ(all & bit(other), 0U) << permission_name(other);
}

TEST_F(PoliciesTest, the_five_that_clients_expect_are_made_once) {
  const auto owner = stored("iothubowner");
  EXPECT_EQ(owner.rights, 15);
  EXPECT_EQ(stored("service").rights, 4);
  EXPECT_EQ(stored("device").rights, 8);
  EXPECT_EQ(stored("registryRead").rights, 1);
  EXPECT_EQ(stored("registryReadWrite").rights, 3);
  EXPECT_EQ(owner.primary_key.reveal().size(), 32U);
  EXPECT_NE(owner.primary_key.reveal(), owner.secondary_key.reveal());
  EXPECT_NE(owner.primary_key.reveal(), stored("service").primary_key.reveal());
  ASSERT_TRUE(policies.load(*db.store));
  EXPECT_EQ(stored("iothubowner").primary_key.reveal(), owner.primary_key.reveal());
}

TEST_F(PoliciesTest, a_token_signed_with_either_key_is_its_policy) {
  for (const Secret& key : {stored("service").primary_key, stored("service").secondary_key}) {
    const auto grant = policies.check(make_sas("HUB.example", key.reveal(), now() + 60, "service"));
    ASSERT_TRUE(grant) << grant.error().message;
    EXPECT_EQ((*grant)->caller.name, "policy:service");
    EXPECT_EQ((*grant)->caller.permissions, permissions_of(4));
  }
  EXPECT_TRUE(policies.check(token("service", "localhost")));
  EXPECT_TRUE(policies.check("  sharedaccesssignature   " + token("service").substr(22))) << "a scheme has no case";
}

TEST_F(PoliciesTest, the_signature_counts_over_the_scope_as_it_stands) {
  // As the service client writes it: nothing in the scope is encoded.
  const std::string key = stored("service").primary_key.reveal();
  std::string raw = make_sas("hub.example/devices", key, now() + 60, "service");
  EXPECT_TRUE(policies.check(raw));
  raw.replace(raw.find("%2F"), 3, "/");
  EXPECT_NE(refusal(raw), "") << "another text was signed";
}

TEST_F(PoliciesTest, every_way_to_be_wrong_is_refused_with_its_reason) {
  const std::string key = stored("service").primary_key.reveal();
  EXPECT_NE(refusal(make_sas("other.example", key, now() + 60, "service")).find("another hub"), std::string::npos);
  EXPECT_NE(refusal(make_sas("hub.example", key, now() + 60)).find("skn"), std::string::npos);
  EXPECT_NE(refusal(make_sas("hub.example", key, now() + 60, "device")).find("not signed"), std::string::npos);
  EXPECT_NE(refusal(make_sas("hub.example", key, now() + 60, "nobody")).find("no such policy"), std::string::npos);
  EXPECT_NE(refusal(make_sas("hub.example", key, now() + 60, "SERVICE")).find("no such policy"), std::string::npos);
  EXPECT_NE(refusal(make_sas("hub.example", "", now() + 60, "service")).find("not signed"), std::string::npos);
  EXPECT_NE(refusal("SharedAccessSignature sr=hub.example").find("no sig"), std::string::npos);
  EXPECT_NE(refusal("SharedAccessSignature " + std::string(5000, 'a')).find("longer"), std::string::npos);
}

TEST_F(PoliciesTest, a_token_ends_after_its_expiry_and_the_slack_also_from_memory) {
  const std::string key = stored("service").primary_key.reveal();
  const std::string brief = make_sas("hub.example", key, now() + 10, "service");
  ASSERT_TRUE(policies.check(brief));
  db.clock.advance(std::chrono::seconds(10) + Policies::kClockSlack - std::chrono::seconds(1));
  EXPECT_TRUE(policies.recall(brief));
  EXPECT_TRUE(policies.check(brief));
  db.clock.advance(std::chrono::seconds(1));
  EXPECT_FALSE(policies.recall(brief));
  EXPECT_NE(refusal(brief).find("expired"), std::string::npos);
}

TEST_F(PoliciesTest, a_checked_token_is_remembered_until_policies_change) {
  const std::string text = token("service");
  EXPECT_FALSE(policies.recall(text));
  ASSERT_TRUE(policies.check(text));
  EXPECT_TRUE(policies.recall(text));
  EXPECT_FALSE(policies.recall(text + " "));
  ASSERT_TRUE(change([&](store::Records& records) { return policies.renew(records, "service", PolicyKey::primary); }));
  EXPECT_FALSE(policies.recall(text));
  EXPECT_NE(refusal(text).find("not signed"), std::string::npos) << "the old key is gone at once";
  EXPECT_TRUE(policies.check(make_sas("hub.example", stored("service").secondary_key.reveal(), now() + 60, "service")))
      << "the other key goes on";
  EXPECT_TRUE(policies.check(token("service")));
}

TEST_F(PoliciesTest, memory_for_tokens_is_bounded) {
  const std::string key = stored("service").primary_key.reveal();
  const std::string first = make_sas("hub.example", key, now() + 1, "service");
  ASSERT_TRUE(policies.check(first));
  for (int i = 2; i < 1100; ++i) ASSERT_TRUE(policies.check(make_sas("hub.example", key, now() + i, "service")));
  EXPECT_FALSE(policies.recall(first));
  EXPECT_TRUE(policies.check(first));
}

TEST_F(PoliciesTest, a_custom_policy_lives_and_dies_and_a_built_in_one_stays) {
  const auto made = change([&](store::Records& records) {
    return policies.create(records,
                           NewPolicy{.name = "shop-floor", .rights = 5, .primary_key = Secret(std::string(20, 'k'))});
  });
  ASSERT_TRUE(made);
  EXPECT_EQ(made->primary_key.reveal(), std::string(20, 'k'));
  EXPECT_EQ(made->secondary_key.reveal().size(), 32U);
  const std::string text = token("shop-floor");
  EXPECT_TRUE(policies.check(text));
  EXPECT_EQ(change([&](store::Records& records) {
              return policies.create(records, NewPolicy{.name = "Shop-Floor", .rights = 1});
            })
                .error()
                .code,
            Code::conflict);
  ASSERT_TRUE(change([&](store::Records& records) { return policies.remove(records, "shop-floor"); }));
  EXPECT_NE(refusal(text), "");
  EXPECT_EQ(change([&](store::Records& records) { return policies.remove(records, "shop-floor"); }).error().code,
            Code::not_found);
  EXPECT_EQ(change([&](store::Records& records) { return policies.remove(records, "service"); }).error().code,
            Code::refused);
  EXPECT_EQ(
      change([&](store::Records& records) { return policies.renew(records, "no", PolicyKey::primary); }).error().code,
      Code::not_found);
}

TEST_F(PoliciesTest, what_cannot_be_a_policy_is_refused) {
  for (const NewPolicy& wanted :
       {NewPolicy{.name = "", .rights = 1}, NewPolicy{.name = std::string(65, 'a'), .rights = 1},
        NewPolicy{.name = "a b", .rights = 1}, NewPolicy{.name = "a/b", .rights = 1},
        NewPolicy{.name = "none", .rights = 0}, NewPolicy{.name = "short", .rights = 1, .primary_key = Secret("short")},
        NewPolicy{.name = "long", .rights = 1, .secondary_key = Secret(std::string(65, 'k'))}})
    EXPECT_EQ(change([&](store::Records& records) { return policies.create(records, wanted); }).error().code,
              Code::invalid_argument)
        << wanted.name;
}

TEST_F(PoliciesTest, their_number_is_limited) {
  for (std::size_t i = 5; i < Policies::kMost; ++i)
    ASSERT_TRUE(change([&](store::Records& records) {
      return policies.create(records, NewPolicy{.name = "p" + std::to_string(i), .rights = 1});
    }));
  EXPECT_EQ(change([&](store::Records& records) {
              return policies.create(records, NewPolicy{.name = "one-more", .rights = 1});
            })
                .error()
                .code,
            Code::too_many);
}

TEST_F(PoliciesTest, a_change_that_is_rolled_back_never_reaches_memory) {
  const std::string before = token("service");
  EXPECT_FALSE(db.store->write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const auto renewed, policies.renew(records, "service", PolicyKey::primary));
    return fail(Code::conflict, "something else went wrong");
  }));
  EXPECT_TRUE(policies.check(before));
}

class SharedAccess : public PoliciesTest {
 protected:
  SharedAccess() { access.use_policies(policies); }
  Access access{db.clock, *db.store};
};

TEST_F(SharedAccess, a_token_opens_what_its_scope_covers) {
  const std::string all = token("service");
  EXPECT_TRUE(access.check_shared_access(all, "a", "/twins/dev1"));
  const std::string one = token("service", "hub.example/twins/dev1");
  EXPECT_TRUE(access.check_shared_access(one, "a", "/twins/dev1"));
  EXPECT_TRUE(access.check_shared_access(one, "a", "/twins/dev1/modules/m"));
  EXPECT_TRUE(access.check_shared_access(one, "a", "/twins/%64ev1")) << "paths compare decoded";
  for (const char* path : {"/twins/dev10", "/twins", "/devices/dev1"}) {
    const auto refused = access.check_shared_access(one, "a", path);
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().code, Code::unauthorized);
    EXPECT_NE(refused.error().message.find("does not cover"), std::string::npos) << refused.error().message;
  }
}

TEST_F(SharedAccess, guessing_makes_an_address_wait_like_wrong_bearer_tokens_do) {
  const std::string good = token("service");
  ASSERT_TRUE(access.check_shared_access(good, "a", "/devices"));
  for (int i = 0; i <= Access::kFreeFailures; ++i)
    EXPECT_EQ(access
                  .check_shared_access(make_sas("hub.example", "guess" + std::to_string(i), now() + 60, "service"), "a",
                                       "/devices")
                  .error()
                  .code,
              Code::unauthorized);
  const std::string other = token("device");
  EXPECT_EQ(access.check_shared_access(other, "a", "/devices").error().code, Code::too_many);
  EXPECT_EQ(access.recall("Bearer wrong", "a").error().code, Code::too_many) << "one count for both kinds";
  EXPECT_TRUE(access.check_shared_access(good, "a", "/devices")) << "a known token goes on";
  EXPECT_TRUE(access.check_shared_access(other, "b", "/devices")) << "another address";
}

TEST_F(SharedAccess, a_right_that_is_missing_is_told_as_the_clients_expect_it) {
  const auto caller = access.check_shared_access(token("registryRead"), "a", "/devices/x");
  ASSERT_TRUE(caller);
  EXPECT_TRUE(check_permission(*caller, Permission::registry_read));
  const auto refused = check_permission(*caller, Permission::registry_write);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unauthorized) << "their class for 403 means something else";
  EXPECT_EQ(refused.error().message, "'policy:registryRead' does not include the permission registry/write");
}

TEST_F(SharedAccess, without_policies_no_signature_opens_anything) {
  Access bare(db.clock, *db.store);
  EXPECT_EQ(bare.check_shared_access(token("service"), "a", "/devices").error().code, Code::unauthorized);
}

}  // namespace
}  // namespace godwit::api
