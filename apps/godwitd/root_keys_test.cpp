// Goal: whoever holds the root keys can renew the package, and nobody who holds some of them only.
#include "apps/godwitd/root_keys.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>

#include "apps/godwitd/init.hpp"
#include "core/base/testing/temp_folder.hpp"

namespace godwit::daemon {
namespace {

class RootKeysTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto made = init(layout_.data, InitOptions{.hosts = {"localhost"}, .config = {}});
    ASSERT_TRUE(made) << made.error().message;
  }
  [[nodiscard]] RenewOptions options(std::optional<int> days = std::nullopt) const {
    return {.keys = {layout_.root_key(2), layout_.root_key(1)}, .days = days, .now = kNow};
  }
  [[nodiscard]] std::string refusal(const RenewOptions& options) const {
    const auto renewed = renew_root_keys(layout_, options);
    return renewed ? "" : renewed.error().message;
  }

  static constexpr WallTime kNow{std::chrono::seconds(1'800'000'000)};
  TempFolder folder_;
  Layout layout_{folder_.path() / "data"};
};

TEST_F(RootKeysTest, a_renewal_counts_on_and_keeps_the_lifetime_unless_told) {
  const auto first = read_root_keys(layout_);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->package.version, 1);
  EXPECT_EQ(first->package.expires, 0);
  const auto second = renew_root_keys(layout_, options(90));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->version, 2);
  EXPECT_EQ(second->expires, 1'800'000'000 + 90 * 24 * 3600);
  EXPECT_FALSE(second->has_expired(kNow));
  EXPECT_TRUE(second->has_expired(kNow + std::chrono::days(90)));
  EXPECT_EQ(renew_root_keys(layout_, options())->expires, second->expires);
  const auto endless = renew_root_keys(layout_, options(0));
  EXPECT_EQ(endless->version, 4);
  EXPECT_EQ(endless->expires, 0);
  EXPECT_NE(describe_root_keys(*endless, kNow).find("Ends:       never"), std::string::npos);
  EXPECT_NE(describe_root_keys(*second, kNow + std::chrono::days(91)).find("it has ended"), std::string::npos);
}

// faults: 4
TEST_F(RootKeysTest, the_owner_signs_under_the_number_to_which_a_thief_counted) {
  constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();
  auto wanted = options(90);
  wanted.version = kLast;
  ASSERT_TRUE(renew_root_keys(layout_, wanted)) << refusal(wanted);
  EXPECT_NE(refusal(options()).find("sign under it again with --package-version"), std::string::npos);
  const auto again = renew_root_keys(layout_, wanted);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->version, kLast);
  EXPECT_EQ(read_root_keys(layout_)->package.version, kLast);
  wanted.version = kLast - 1;
  EXPECT_NE(refusal(wanted).find("devices may have seen"), std::string::npos) << refusal(wanted);
}

TEST_F(RootKeysTest, what_root_renews_belongs_to_the_services_user) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(::chown(layout_.data.c_str(), kNobody, kNobody), 0);
  ASSERT_TRUE(renew_root_keys(layout_, options()));
  struct stat info {};
  ASSERT_EQ(::stat(layout_.root_key_package().c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, kNobody);
}

TEST_F(RootKeysTest, every_root_key_is_needed_and_no_other) {
  const std::string before = read_root_keys(layout_)->text;
  auto wanting = options();
  wanting.keys.pop_back();
  EXPECT_NE(refusal(wanting).find("the private key of root-1-"), std::string::npos) << refusal(wanting);
  auto foreign = options();
  foreign.keys.push_back(layout_.signing_key());
  EXPECT_NE(refusal(foreign).find("3 files were given with --key for 2"), std::string::npos) << refusal(foreign);
  auto missing = options();
  missing.keys.front() = folder_.path() / "gone.pem";
  EXPECT_NE(refusal(missing).find("gone.pem"), std::string::npos);
  ASSERT_TRUE(write_file_durably(folder_.path() / "gone.pem", "no key"));
  EXPECT_NE(refusal(missing).find("gone.pem"), std::string::npos);
  EXPECT_EQ(read_root_keys(layout_)->text, before);
}

}  // namespace
}  // namespace godwit::daemon
