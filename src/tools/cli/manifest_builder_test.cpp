#include "tools/cli/manifest_builder.hpp"

#include "core/base/file.hpp"

#include <gtest/gtest.h>

namespace godwit::cli {
namespace {

class ManifestBuilder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("godwit-builder-" + random_guid());
    ASSERT_TRUE(make_folders(folder_ / "other"));
    ASSERT_TRUE(write_file_durably(folder_ / "run.sh", "#!/bin/sh\n"));
    ASSERT_TRUE(write_file_durably(folder_ / "other" / "run.sh", "other\n"));
  }
  void TearDown() override { (void)remove_tree(folder_); }

  ManifestWish wish() const {
    ManifestWish out{
        .provider = "Contoso", .name = "Toaster", .version = "1.0.0", .compatibility = {{{"manufacturer", "Contoso"}}}};
    out.steps.push_back(StepWish{.handler = "microsoft/script:1",
                                 .properties = {{"scriptFileName", "run.sh"}},
                                 .files = {{.path = (folder_ / "run.sh").string()}}});
    return out;
  }
  Path folder_;
};

TEST_F(ManifestBuilder, size_and_hash_come_from_the_file) {
  const auto made = build_manifest(wish(), "2026-11-22T10:00:00Z");
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_EQ(made->files.size(), 1U);
  EXPECT_EQ(made->files[0].size, 10U);
  EXPECT_EQ(made->files[0].sha256(), sha256("#!/bin/sh\n"));
}

TEST_F(ManifestBuilder, a_file_of_two_steps_is_listed_once) {
  auto two = wish();
  two.steps.push_back(two.steps[0]);
  const auto made = build_manifest(two, "2026-11-22T10:00:00Z");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->files.size(), 1U);
  EXPECT_EQ(made->steps.size(), 2U);
}

TEST_F(ManifestBuilder, two_files_with_one_name_are_refused) {
  auto two = wish();
  two.steps.push_back(two.steps[0]);
  two.steps[1].files[0].path = (folder_ / "other" / "run.sh").string();
  const auto made = build_manifest(two, "2026-11-22T10:00:00Z");
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("run.sh"), std::string::npos);
}

TEST_F(ManifestBuilder, what_the_service_would_refuse_is_refused_here) {
  auto bad = wish();
  bad.steps[0].handler = "script";
  const auto made = build_manifest(bad, "2026-11-22T10:00:00Z");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::bad_manifest) << made.error().message;
}

TEST_F(ManifestBuilder, a_missing_payload_is_named) {
  auto bad = wish();
  bad.steps[0].files[0].path = "/nonexistent/x";
  const auto made = build_manifest(bad, "2026-11-22T10:00:00Z");
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("/nonexistent/x"), std::string::npos);
}

TEST(ReadPairs, an_unknown_key_gets_the_nearest_known) {
  const auto pairs = read_pairs({"handlr=x"}, {"handler", "properties"}, "--step");
  ASSERT_FALSE(pairs);
  EXPECT_NE(pairs.error().message.find("did you mean 'handler'"), std::string::npos) << pairs.error().message;
}

TEST(ReadPairs, every_key_is_known_where_none_is_named) {
  const auto pairs = read_pairs({"group=motors", "state=on-line"}, {}, "--compat");
  ASSERT_TRUE(pairs) << pairs.error().message;
  EXPECT_EQ(pairs->at(0).first, "group");
  EXPECT_FALSE(read_pairs({"=motors"}, {}, "--compat"));
}

TEST(ReadPairs, a_value_may_hold_equals_signs) {
  const auto pairs = read_pairs({"properties={\"arguments\":\"--a=b\"}"}, {"properties"}, "--step");
  ASSERT_TRUE(pairs);
  EXPECT_EQ(pairs->at(0).second, "{\"arguments\":\"--a=b\"}");
}

}  // namespace
}  // namespace godwit::cli
