// faults: 10
#include "apps/godwitd/signing_key.hpp"

#include <gtest/gtest.h>

#include "apps/godwitd/init.hpp"
#include "core/base/testing/temp_folder.hpp"
#include "core/trust/manifest_signature.hpp"

namespace godwit::daemon {
namespace {

class SigningKeyTest : public ::testing::Test {
 protected:
  SigningKeyTest() { EXPECT_TRUE(init(layout_.data, {.hosts = {"localhost"}})); }
  [[nodiscard]] RenewOptions options() const { return {.keys = {layout_.root_key(1), layout_.root_key(2)}}; }
  /// Why devices refuse `signature` under the package in place; "": they take it.
  [[nodiscard]] std::string verdict(const std::string& signature) const {
    const auto problem = trust::check_manifest_signature("manifest", signature, read_root_keys(layout_)->package);
    return problem ? problem->message : "";
  }
  [[nodiscard]] std::string sign() const {
    return service::sign_offer("manifest", load_signing_identity(layout_).value()).value();
  }

  TempFolder folder_;
  Layout layout_{folder_.path() / "data"};
};

TEST_F(SigningKeyTest, a_new_key_is_taken_and_the_one_before_refused) {
  const auto before = read_signing_key(layout_);
  ASSERT_TRUE(before) << before.error().message;
  EXPECT_EQ(before->refusal, "");
  const std::string old = sign();
  EXPECT_EQ(verdict(old), "");
  const auto replaced = replace_signing_key(layout_, options());
  ASSERT_TRUE(replaced) << replaced.error().message;
  EXPECT_NE(replaced->name, before->name);
  EXPECT_EQ(verdict(old), "the signing key is disabled");
  EXPECT_EQ(verdict(sign()), "");
  EXPECT_EQ(read_root_keys(layout_)->package.version, 2);
  EXPECT_EQ(read_signing_key(layout_)->name, replaced->name);
  EXPECT_NE(describe_signing_key(*replaced).find("take what it signs"), std::string::npos);
  // And once more: what was disabled stays so.
  ASSERT_TRUE(replace_signing_key(layout_, options()));
  EXPECT_EQ(read_root_keys(layout_)->package.disabled_signing_keys.size(), 2U);
  EXPECT_EQ(verdict(old), "the signing key is disabled");
}

TEST_F(SigningKeyTest, every_root_key_is_needed_and_nothing_changes_without) {
  const std::string old = sign();
  RenewOptions wanting = options();
  wanting.keys.pop_back();
  const auto refused = replace_signing_key(layout_, wanting);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("the private key of root-2-"), std::string::npos) << refused.error().message;
  EXPECT_EQ(verdict(old), "");
  EXPECT_EQ(read_root_keys(layout_)->package.version, 1);
}

// Goal: whatever file was put in place last, the next start finds three that belong together. Method: the folder of a
// change as it is after each of its renames.
TEST_F(SigningKeyTest, a_cut_leaves_the_old_state_or_is_completed) {
  const std::string old = sign();
  const Path saved = folder_.path() / "saved";
  const std::vector<Path> files{layout_.root_key_package(), layout_.signed_jwk(), layout_.signing_key()};
  std::filesystem::create_directory(saved);
  for (const Path& file : files) std::filesystem::copy_file(file, saved / file.filename());
  ASSERT_TRUE(replace_signing_key(layout_, options()));
  const std::string fresh = sign();
  for (std::size_t moved = 0; moved <= files.size(); ++moved) {
    std::filesystem::create_directory(layout_.key_change());
    for (std::size_t i = moved; i < files.size(); ++i) {
      std::filesystem::copy_file(files[i], layout_.key_change() / files[i].filename());
      std::filesystem::copy_file(saved / files[i].filename(), files[i],
                                 std::filesystem::copy_options::overwrite_existing);
    }
    ASSERT_TRUE(finish_key_change(layout_)) << moved;
    EXPECT_EQ(verdict(sign()), "") << moved;
    EXPECT_EQ(verdict(fresh), "") << moved;
    EXPECT_EQ(verdict(old), "the signing key is disabled") << moved;
    EXPECT_FALSE(std::filesystem::exists(layout_.key_change()));
  }
  // Not decided yet: as if it had not begun.
  std::filesystem::create_directory(layout_.key_change().string() + ".part");
  ASSERT_TRUE(finish_key_change(layout_));
  EXPECT_EQ(verdict(fresh), "");
  EXPECT_TRUE(replace_signing_key(layout_, options()));
}

}  // namespace
}  // namespace godwit::daemon
