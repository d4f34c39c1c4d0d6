#include "server/store/testing.hpp"

namespace godwit::store {

TEST(Access, a_token_is_found_by_its_digest_until_it_is_removed) {
  TestStore test;
  const TokenRecord token{.sha256 = sha256("secret"),
                          .name = "ci",
                          .role = "reader",
                          .created = from_unix_ms(5),
                          .expires = from_unix_ms(9)};
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.access().insert_token(token));
    GODWIT_TRY(const auto found, records.access().find_token(sha256("secret")));
    EXPECT_EQ(found->name, "ci");
    EXPECT_EQ(found->role, "reader");
    EXPECT_EQ(found->expires, from_unix_ms(9));
    EXPECT_FALSE(records.access().find_token(sha256("other")).value());
    EXPECT_EQ(records.access().insert_token({.sha256 = sha256("other"), .name = "ci", .role = "reader"}).error().code,
              Code::conflict);
    EXPECT_TRUE(records.access().remove_token("ci").value());
    EXPECT_FALSE(records.access().remove_token("ci").value());
    EXPECT_FALSE(records.access().find_token(sha256("secret")).value());
    return {};
  }));
}

TEST(Access, a_token_without_expiry_has_none) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.access().insert_token({.sha256 = sha256("a"), .name = "a", .role = "reader"}));
    EXPECT_EQ(records.access().list_tokens().value().at(0).expires, std::nullopt);
    return {};
  }));
}

TEST(Access, a_setting_is_replaced) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.access().save_setting("k", "1"));
    GODWIT_TRY_VOID(records.access().save_setting("k", "2"));
    EXPECT_EQ(records.access().find_setting("k").value(), "2");
    return {};
  }));
}

TEST(Access, the_audit_trail_is_read_backwards_in_pages) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    for (const char* action : {"one", "two", "three"})
      GODWIT_TRY_VOID(records.access().append_audit(
          {.at = from_unix_ms(1), .actor = "admin", .action = action, .subject = "s", .details = "{}"}));
    GODWIT_TRY(const auto first, records.access().list_audit(0, 2));
    EXPECT_EQ(first.at(0).action, "three");
    EXPECT_EQ(first.at(1).action, "two");
    GODWIT_TRY(const auto second, records.access().list_audit(first.back().id, 2));
    EXPECT_EQ(second.size(), 1U);
    EXPECT_EQ(second.at(0).action, "one");
    return {};
  }));
}

}  // namespace godwit::store
