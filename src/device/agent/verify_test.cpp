// Goal: each way in which a goal can be wrong has its own extended code and a sentence.
#include "device/agent/verify.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "core/trust/manifest_signature.hpp"
#include "core/trust/root_keys.hpp"
#include "core/trust/test_keys.hpp"
#include "device/agent/testing/fake_maker.hpp"
#include "device/agent/testing/workbench.hpp"
#include "device/agent/trusted_time.hpp"

namespace godwit::agent {
namespace {

class VerifyTest : public ::testing::Test {
 protected:
  Attempt<VerifiedGoal> verify(const twin::DesiredUpdate& goal) {
    NullLog log;
    SeededRandom random(1);
    FakePauses pauses(bench_.clock);
    FakeMaker maker;
    const Links links(goal.file_urls);
    Payloads payloads({.give_up_after = std::chrono::seconds(5), .reserve = 0}, links, bench_.downloader, maker,
                      bench_.clock, random, pauses, log);
    const VerifySettings settings{.trust_anchors = anchors_,
                                  .root_keys_file = bench_.folder.path() / "rootkeys.json",
                                  .device_properties = properties_,
                                  .time_file = time_file_};
    return verify_goal(goal, settings, payloads, bench_.folder.path(), {}, bench_.clock, log);
  }
  ExtendedCode code_of(const twin::DesiredUpdate& goal) {
    const auto verified = verify(goal);
    if (verified) return 0;
    EXPECT_FALSE(verified.error().details.empty());
    return verified.error().extended_code;
  }
  std::string package(std::int64_t version, bool is_test = false, std::int64_t expires = 0) {
    trust::RootKeyPackage made;
    made.expires = expires;
    made.version = version;
    made.is_test = is_test;
    made.root_keys = {{"root.1", trust::test_key(0).public_key()}};
    return made.sign({&trust::test_key(0)}).value();
  }
  std::string sign(std::string_view manifest) {
    const auto jwk =
        trust::make_signed_jwk(trust::test_key(2).public_key(), "signing.1", trust::test_key(0), "root.1").value();
    return trust::sign_manifest(manifest, trust::test_key(2), jwk).value();
  }

  Workbench bench_{1};
  Path time_file_{};
  Path anchors_ = bench_.folder.path() / "anchors.json";
  CompatibilitySet properties_{{"manufacturer", "Contoso"}, {"model", "Toaster"}, {"location", "plant7"}};
};

TEST_F(VerifyTest, a_good_goal_passes) {
  const auto verified = verify(bench_.goal("w1"));
  ASSERT_TRUE(verified) << verified.error().details;
  EXPECT_EQ(verified->manifest.update_id.str(), "Contoso/Toaster/1.2.0");
}

// faults: 8, 12, 13
TEST_F(VerifyTest, what_is_not_signed_is_refused) {
  auto goal = bench_.goal("w1");
  goal.manifest += " ";
  EXPECT_EQ(code_of(goal), erc::manifest_hash);
  goal = bench_.goal("w1");
  goal.manifest_signature.back() = goal.manifest_signature.back() == 'A' ? 'B' : 'A';
  goal.manifest_signature[goal.manifest_signature.size() - 10] ^= 1;
  EXPECT_NE(code_of(goal), 0U);
  goal = bench_.goal("w1");
  goal.manifest_signature.clear();
  EXPECT_NE(code_of(goal), 0U);
}

// faults: 2
TEST_F(VerifyTest, an_older_root_key_package_is_refused) {
  bench_.downloader.files["https://x/keys"] = package(5);
  EXPECT_EQ(code_of(bench_.goal("w1")), 0U);
  bench_.downloader.files["https://x/keys"] = package(4);
  EXPECT_EQ(code_of(bench_.goal("w2")), erc::root_package_rollback);
  bench_.downloader.files["https://x/keys"] = package(5);
  EXPECT_EQ(code_of(bench_.goal("w3")), 0U);
}

// faults: 3, 20
TEST_F(VerifyTest, a_package_that_has_ended_is_refused_until_a_newer_one_comes) {
  bench_.clock.set(TrustedTime::build_time() + std::chrono::days(100));
  const std::int64_t now = to_unix_ms(bench_.clock.now()) / 1000;
  bench_.downloader.files["https://x/keys"] = package(5, false, now + 10);
  EXPECT_EQ(code_of(bench_.goal("w1")), 0U);
  bench_.clock.advance(std::chrono::seconds(11));
  const auto refused = verify(bench_.goal("w2"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().extended_code, erc::root_package_expired);
  EXPECT_NE(refused.error().details.find("version 5 ended on "), std::string::npos) << refused.error().details;
  bench_.downloader.files["https://x/keys"] = package(6, false, now + 1000);
  EXPECT_EQ(code_of(bench_.goal("w3")), 0U);
}

// faults: 19
TEST_F(VerifyTest, a_clock_that_is_behind_judges_by_what_is_certain) {
  bench_.clock.set(TrustedTime::build_time() + std::chrono::days(100));
  const std::int64_t now = to_unix_ms(bench_.clock.now()) / 1000;
  bench_.downloader.files["https://x/keys"] = package(5, false, now + 10);
  EXPECT_EQ(code_of(bench_.goal("w0")), 0U);
  const Path file = bench_.folder.path() / "time.json";
  time_file_ = file;
  ASSERT_TRUE(write_file_durably(
      file, R"({"version":1,"notBefore":")" + format_time(bench_.clock.now() + std::chrono::seconds(11)) + "\"}"));
  EXPECT_EQ(code_of(bench_.goal("w1")), erc::root_package_expired) << "a server showed that it is later";
}

// faults: 4
TEST_F(VerifyTest, new_anchors_begin_a_new_count_of_packages) {
  bench_.downloader.files["https://x/keys"] = package(std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(code_of(bench_.goal("w1")), 0U);
  bench_.downloader.files["https://x/keys"] = package(7);
  EXPECT_EQ(code_of(bench_.goal("w2")), erc::root_package_rollback);

  trust::TrustAnchors rotated;
  rotated.keys.emplace("root.2", trust::test_key(1).public_key());
  ASSERT_TRUE(write_file_durably(anchors_, rotated.print()));
  trust::RootKeyPackage anew;
  anew.root_keys = {{"root.2", trust::test_key(1).public_key()}};
  bench_.downloader.files["https://x/keys"] = anew.sign({&trust::test_key(1)}).value();
  auto goal = bench_.goal("w3");
  const auto jwk =
      trust::make_signed_jwk(trust::test_key(2).public_key(), "signing.1", trust::test_key(1), "root.2").value();
  goal.manifest_signature = trust::sign_manifest(goal.manifest, trust::test_key(2), jwk).value();
  EXPECT_EQ(code_of(goal), 0U);
  EXPECT_EQ(code_of(bench_.goal("w4")), erc::root_key_unknown) << "what the old root key vouched for ends with it";
}

TEST_F(VerifyTest, bad_packages_have_their_codes) {
  bench_.downloader.files["https://x/keys"] = package(9, true);
  EXPECT_EQ(code_of(bench_.goal("w1")), erc::root_package_is_test);
  bench_.downloader.files["https://x/keys"] = "<html>please log in</html>";
  EXPECT_EQ(code_of(bench_.goal("w1")), erc::root_package_invalid);
  bench_.downloader.files.erase("https://x/keys");
  EXPECT_EQ(code_of(bench_.goal("w1")), erc::root_package_download);
  auto goal = bench_.goal("w1");
  goal.root_key_package_url.clear();
  EXPECT_EQ(code_of(goal), erc::no_root_key_url);
}

TEST_F(VerifyTest, without_anchors_nothing_is_believed) {
  anchors_ = bench_.folder.path() / "missing.json";
  const auto refused = verify(bench_.goal("w1"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().extended_code, erc::signature_failed);
  EXPECT_NE(refused.error().details.find("missing.json"), std::string::npos);
}

// faults: 7
TEST_F(VerifyTest, an_update_for_other_devices_is_refused_and_says_for_which) {
  properties_["model"] = "Kettle";
  const auto refused = verify(bench_.goal("w1"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().extended_code, erc::incompatible);
  EXPECT_EQ(refused.error().details,
            "Contoso/Toaster/1.2.0 is for devices with manufacturer=Contoso, model=Toaster; this device has "
            "location=plant7, manufacturer=Contoso, model=Kettle");
}

TEST_F(VerifyTest, a_signed_manifest_that_is_nonsense_is_refused) {
  auto goal = bench_.goal("w1");
  goal.manifest = R"({"manifestVersion":"9"})";
  goal.manifest_signature = sign(goal.manifest);
  EXPECT_EQ(code_of(goal), erc::manifest_version);
  goal.manifest = R"({"manifestVersion":"5"})";
  goal.manifest_signature = sign(goal.manifest);
  EXPECT_EQ(code_of(goal), erc::bad_manifest);
}

class DetachedTest : public VerifyTest {
 protected:
  DetachedTest() {
    file_.file_name = manifest::detached_manifest_file_name(bench_.manifest.update_id);
    set_content(manifest::print_detached_manifest(bench_.manifest_text));
  }
  void set_content(const std::string& content) {
    bench_.downloader.files["https://x/whole"] = content;
    file_.size = content.size();
    file_.hashes["sha256"] = base64_encode(sha256(content));
    const auto mini = manifest::make_mini_manifest(bench_.manifest, file_);
    goal_ = bench_.goal("w1");
    goal_.manifest = manifest::print_update_manifest(mini);
    goal_.manifest_signature = sign(goal_.manifest);
    goal_.file_urls[mini.detached_manifest_file_id] = "https://x/whole";
  }
  manifest::FileBase file_;
  twin::DesiredUpdate goal_;
};

TEST_F(DetachedTest, a_mini_manifest_is_followed_to_the_whole_one) {
  const auto verified = verify(goal_);
  ASSERT_TRUE(verified) << verified.error().details;
  EXPECT_EQ(verified->manifest.steps.size(), 1U);
  EXPECT_FALSE(verified->detached_manifest.empty());
}

TEST_F(DetachedTest, another_file_than_the_signed_one_is_refused) {
  std::string& content = bench_.downloader.files["https://x/whole"];
  content[content.size() / 2] ^= 1;
  EXPECT_EQ(code_of(goal_), erc::download_hash);
}

TEST_F(DetachedTest, a_whole_manifest_of_another_update_is_refused) {
  auto other = bench_.manifest;
  other.update_id = UpdateId::parse("Contoso", "Toaster", "9.9").value();
  set_content(manifest::print_detached_manifest(manifest::print_update_manifest(other)));
  EXPECT_EQ(code_of(goal_), erc::detached_manifest);
}

TEST_F(DetachedTest, a_whole_manifest_that_is_none_is_refused) {
  set_content("{\"updateManifest\":5}");
  EXPECT_EQ(code_of(goal_), erc::detached_manifest);
}

/// A parent with one step of its own and one that refers to another update.
class ChildTest : public VerifyTest {
 protected:
  ChildTest() {
    child_.update_id = UpdateId::parse("Contoso", "Motor", "2.0").value();
    child_.compatibility = {{{"group", "motors"}}};
    set_child();
  }
  void set_child() {
    const std::string content = manifest::print_detached_manifest(manifest::print_update_manifest(child_));
    bench_.downloader.files["https://x/child"] = content;
    manifest::PayloadFile file;
    file.file_name = "contoso.motor.2.0.updatemanifest.json";
    file.size = content.size();
    file.hashes["sha256"] = base64_encode(sha256(content));
    auto parent = bench_.manifest;
    parent.files["fc"] = file;
    parent.steps.push_back({.handler = "", .files = {}, .handler_properties = {}, .detached_manifest_file_id = "fc"});
    goal_ = bench_.goal("w1");
    goal_.manifest = manifest::print_update_manifest(parent);
    goal_.manifest_signature = sign(goal_.manifest);
    goal_.file_urls["fc"] = "https://x/child";
  }
  manifest::UpdateManifest child_ = bench_.manifest;
  twin::DesiredUpdate goal_;
};

TEST_F(ChildTest, the_manifest_of_a_referenced_update_is_fetched_and_says_which_components_it_is_for) {
  const auto verified = verify(goal_);
  ASSERT_TRUE(verified) << verified.error().details;
  EXPECT_EQ(verified->children.at("fc").as_string(), bench_.downloader.files.at("https://x/child"));
  EXPECT_EQ(verified->selectors.at("fc"), (CompatibilitySet{{"group", "motors"}}));
}

// faults: 5, 6
TEST_F(ChildTest, another_child_than_the_signed_one_or_none_is_refused) {
  bench_.downloader.files["https://x/child"][20] ^= 1;
  EXPECT_EQ(code_of(goal_), erc::download_hash);
  goal_.file_urls.erase("fc");
  EXPECT_EQ(code_of(goal_), erc::download_bad_url);
}

TEST_F(ChildTest, a_child_that_is_a_mini_manifest_is_refused) {
  manifest::FileBase file;
  file.file_name = "m.json";
  file.size = 3;
  file.hashes["sha256"] = base64_encode(sha256("abc"));
  child_ = manifest::make_mini_manifest(child_, file);
  set_child();
  EXPECT_EQ(code_of(goal_), erc::detached_manifest);
}

}  // namespace
}  // namespace godwit::agent
