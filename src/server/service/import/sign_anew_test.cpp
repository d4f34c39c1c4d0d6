#include "server/service/import/sign_anew.hpp"

#include "server/service/import/testing.hpp"

namespace godwit::service {
namespace {

const SigningIdentity& next_identity() {
  static const SigningIdentity made = [] {
    const auto key = trust::PrivateKey::generate(2048).value();
    return SigningIdentity{
        .key = key,
        .signed_jwk = trust::make_signed_jwk(key.public_key(), "signing-2", TestKeys::get().root, "root-1").value()};
  }();
  return made;
}

trust::RootKeyPackage next_package() {
  trust::RootKeyPackage package = TestKeys::get().package();
  package.disabled_signing_keys.push_back(TestKeys::get().signing.public_key().fingerprint());
  return package;
}

bool holds(const store::OfferRecord& offer, const trust::RootKeyPackage& package) {
  return !trust::check_manifest_signature(offer.manifest, offer.signature, package).has_value();
}

/// A store whose writes fail from some moment on, as if the process had ended there.
class CutStore final : public store::Store {
 public:
  CutStore(store::Store& inner, int writes) : inner_(inner), writes_(writes) {}
  void submit(Job job, Done done) override {
    if (writes_-- > 0) return inner_.submit(std::move(job), std::move(done));
    done(fail(Code::unavailable, "cut"));
  }
  Result<void> read(const Job& job) override { return inner_.read(job); }

 private:
  store::Store& inner_;
  int writes_;
};

/// More than one batch of offers by the old key, and a device in progress.
class SignAnewTest : public ::testing::Test {
 protected:
  static constexpr int kUpdates = 40;

  SignAnewTest() {
    EXPECT_TRUE(test_.store->write([](store::Records& records) -> Result<void> {
      for (int i = 0; i < kUpdates; ++i) {
        std::map<int, store::OfferRecord> offers;
        for (const int version : {4, 5}) {
          store::OfferRecord offer{.manifest = std::to_string(i) + "/" + std::to_string(version)};
          GODWIT_TRY(offer.signature, sign_offer(offer.manifest, TestKeys::get().identity()));
          offers.emplace(version, std::move(offer));
        }
        store::UpdateRecord update;
        update.summary.id = id(i);
        GODWIT_TRY_VOID(records.catalog().insert_update(update, offers));
      }
      return records.rollout().save_device({.deployment = 1,
                                            .device = IdentityId{DeviceId::parse("d1").value()},
                                            .group = GroupId::parse("g").value(),
                                            .class_id = DeviceClassId::parse(std::string(40, 'a')).value(),
                                            .urls_expire_at = kEnd});
    }));
  }
  static UpdateId id(int i) { return sample_id("Toaster", "1." + std::to_string(i)); }
  /// How many offers hold under the next package.
  int count_new() {
    int count = 0;
    EXPECT_TRUE(test_.store->read([&](store::Records& records) -> Result<void> {
      for (int i = 0; i < kUpdates; ++i)
        for (const int version : {4, 5}) {
          GODWIT_TRY(const auto offer, records.catalog().find_offer(id(i), version));
          if (holds(*offer, next_package())) ++count;
        }
      return {};
    }));
    return count;
  }
  bool is_goal_due() {
    bool is_due = false;
    EXPECT_TRUE(test_.store->read([&](store::Records& records) -> Result<void> {
      is_due = !records.rollout().list_expiring(kEnd, 1).value().empty();
      return {};
    }));
    return is_due;
  }

  static constexpr WallTime kEnd{std::chrono::hours(1)};
  store::TestStore test_;
};

}  // namespace

TEST_F(SignAnewTest, what_came_before_a_change_of_the_key_holds_under_the_new_one_and_goals_are_sent_again) {
  ASSERT_TRUE(sign_anew(*test_.store, TestKeys::get().identity(), test_.log));
  EXPECT_FALSE(is_goal_due()) << "nothing has changed";
  EXPECT_EQ(count_new(), 0);
  ASSERT_TRUE(sign_anew(*test_.store, next_identity(), test_.log));
  EXPECT_TRUE(is_goal_due());
  EXPECT_EQ(count_new(), 2 * kUpdates);
}

TEST_F(SignAnewTest, a_cut_at_any_write_is_made_good_by_the_next_start) {
  int cuts = 0;
  for (int writes = 0;; ++writes) {
    CutStore cut(*test_.store, writes);
    const bool is_done = sign_anew(cut, next_identity(), test_.log).has_value();
    // No offer is new as long as the goals do not wait to be sent again: a start in between would leave them old.
    EXPECT_TRUE(is_goal_due() || count_new() == 0) << writes;
    if (is_done) break;
    ++cuts;
  }
  EXPECT_EQ(count_new(), 2 * kUpdates);
  EXPECT_EQ(cuts, 3) << "goals, and two batches";
}

}  // namespace godwit::service
