// faults: 45, 46
#include "tree_rules.hpp"

#include <gtest/gtest.h>

namespace godwit::step_files {
namespace {

RawEntry file(std::string name, std::int64_t size = 1) {
  return {.name = std::move(name), .kind = Kind::file, .mode = 0644, .byte_count = size};
}

TEST(TreeRules, plain_entries_are_admitted_under_plain_names) {
  TreeRules rules({});
  EXPECT_EQ(rules.admit({.name = "./", .kind = Kind::folder, .mode = 0755})->path, "");
  EXPECT_EQ(rules.admit({.name = "./bin/", .kind = Kind::folder, .mode = 0755})->path, "bin");
  EXPECT_EQ(rules.admit(file("./bin//app"))->path, "bin/app");
  EXPECT_EQ(rules.admit(file("lib/deep/x"))->path, "lib/deep/x");
  EXPECT_EQ(rules.admit({.name = "lib/deep", .kind = Kind::folder, .mode = 0700})->mode, 0700U) << "after its content";
  EXPECT_EQ(rules.admit({.name = "lib/l", .kind = Kind::link, .mode = 0777, .link_target = "../bin/app"})->link_target,
            "../bin/app");
  EXPECT_EQ(rules.bytes(), 2U);
}

TEST(TreeRules, no_name_leads_out_or_hides) {
  for (const std::string name : {"", "/etc/passwd", "../x", "a/../../x", "a/..", "..", "a\nb", "a\x7f", "\xff\xfe",
                                 ".godwit-files.json", "./.godwit-files.json"}) {
    TreeRules rules({});
    const auto entry = rules.admit(file(name));
    ASSERT_FALSE(entry) << name;
    EXPECT_EQ(entry.error().code, Code::refused) << name;
  }
  TreeRules rules({});
  EXPECT_FALSE(rules.admit(file(std::string(3000, 'a'))));
  EXPECT_FALSE(rules.admit(file(std::string(300, 'a')))) << "one component of 300 bytes";
  std::string deep = "a";
  for (int i = 0; i < 100; ++i) deep += "/a";
  EXPECT_FALSE(rules.admit(file(deep)));
  EXPECT_FALSE(rules.admit(file(std::string("a\0b", 3))));
}

TEST(TreeRules, nothing_but_files_folders_and_inner_links_is_admitted) {
  TreeRules rules({});
  EXPECT_FALSE(rules.admit({.name = "dev", .kind = Kind::other, .mode = 0644}));
  EXPECT_FALSE(rules.admit({.name = "hard", .kind = Kind::hard_link, .mode = 0644}));
  EXPECT_FALSE(rules.admit({.name = "sparse", .kind = Kind::file, .mode = 0644, .is_sparse = true}));
  for (const std::uint32_t bit : {04000U, 02000U, 01000U})
    EXPECT_FALSE(rules.admit({.name = "bit", .kind = Kind::file, .mode = 0755 | bit}));
  EXPECT_FALSE(rules.admit(file("negative", -1)));
  for (const std::string target : {"/etc/passwd", "../x", "a/../../x", "", "../../x"})
    EXPECT_FALSE(rules.admit({.name = "l" + std::to_string(target.size()), .kind = Kind::link, .link_target = target}))
        << target;
}

TEST(TreeRules, entries_neither_overlap_nor_pass_through_links) {
  TreeRules rules({});
  ASSERT_TRUE(rules.admit(file("a")));
  EXPECT_FALSE(rules.admit(file("./a")));
  EXPECT_FALSE(rules.admit(file("a/b")));
  ASSERT_TRUE(rules.admit({.name = "l", .kind = Kind::link, .link_target = "a"}));
  EXPECT_FALSE(rules.admit(file("l/x")));
  ASSERT_TRUE(rules.admit(file("d/x")));
  EXPECT_FALSE(rules.admit({.name = "d", .kind = Kind::link, .link_target = "a"}));
  ASSERT_TRUE(rules.admit({.name = "d", .kind = Kind::folder, .mode = 0755}));
  EXPECT_FALSE(rules.admit({.name = "d/", .kind = Kind::folder, .mode = 0777}));
}

TEST(TreeRules, sizes_and_counts_end_somewhere) {
  TreeRules rules({.bytes = 10, .entries = 3});
  ASSERT_TRUE(rules.admit(file("a", 10)));
  EXPECT_EQ(rules.admit(file("b", 1)).error().code, Code::too_large);
  TreeRules huge({.bytes = 10});
  EXPECT_EQ(huge.admit(file("a", std::numeric_limits<std::int64_t>::max())).error().code, Code::too_large);
  TreeRules many({.bytes = 10, .entries = 3});
  EXPECT_TRUE(many.admit(file("a/b/c", 0)));
  EXPECT_EQ(many.admit(file("d", 0)).error().code, Code::too_large) << "parents count";
}

}  // namespace
}  // namespace godwit::step_files
