#include "load_marks.hpp"

#include <gtest/gtest.h>

#include "core/base/testing/temp_folder.hpp"

namespace godwit::step_container {
namespace {

const std::string kLower(64, '1');
const std::string kUpper(64, '2');
const ImageInfo kOne{.id = std::string(64, 'a'), .layers = {kLower, kUpper}};
const ImageInfo kTwo{.id = std::string(64, 'b'), .layers = {kLower}};

TEST(LoadMarks, a_load_is_cut_when_another_boot_finds_its_mark) {
  const TempFolder folder;
  const LoadMarks before(folder.path() / "loads", "boot 1");
  EXPECT_TRUE(before.all().empty());
  ASSERT_TRUE(before.begin(kOne));
  auto found = before.all();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_FALSE(found[0].was_cut) << "a program that was killed loses nothing of what it wrote";
  EXPECT_EQ(found[0].image_id, kOne.id);
  EXPECT_EQ(found[0].layers, kOne.layers);
  found = LoadMarks(folder.path() / "loads", "boot 2").all();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].was_cut);
}

TEST(LoadMarks, each_image_has_its_own) {
  const TempFolder folder;
  const LoadMarks marks(folder.path(), "boot 1");
  ASSERT_TRUE(marks.begin(kOne));
  ASSERT_TRUE(marks.begin(kTwo));
  ASSERT_TRUE(marks.end(kTwo.id));
  ASSERT_EQ(marks.all().size(), 1U);
  EXPECT_EQ(marks.all()[0].image_id, kOne.id);
  ASSERT_TRUE(marks.end(kOne.id));
  EXPECT_TRUE(marks.all().empty());
  EXPECT_TRUE(marks.end(kOne.id));
}

TEST(LoadMarks, an_unknown_boot_and_a_mark_that_cannot_be_read_count_as_a_cut) {
  const TempFolder folder;
  const LoadMarks unknown(folder.path(), "");
  ASSERT_TRUE(unknown.begin(kOne));
  EXPECT_TRUE(unknown.all()[0].was_cut);
  ASSERT_TRUE(write_file_durably(folder.path() / kOne.id, R"({"boot":"boot 1","lay)"));
  ASSERT_EQ(LoadMarks(folder.path(), "boot 1").all().size(), 1U);
  EXPECT_TRUE(LoadMarks(folder.path(), "boot 1").all()[0].was_cut);
  ASSERT_TRUE(write_file_durably(folder.path() / "no-image", "{}"));
  EXPECT_EQ(unknown.all().size(), 1U);
}

}  // namespace
}  // namespace godwit::step_container
