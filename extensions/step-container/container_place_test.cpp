#include "container_place.hpp"

#include <gtest/gtest.h>

namespace godwit::step_container {
namespace {

TEST(FormerContainer, is_noted_whole_and_read_back) {
  const Former former{.id = "c1",
                      .image_id = "i1",
                      .words = R"(["create","--env=A=\"b\"","i1"])",
                      .settled = "w/1/0",
                      .was_running = true};
  const auto again = parse_former(print_former(former));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->id, former.id);
  EXPECT_EQ(again->image_id, former.image_id);
  EXPECT_EQ(again->words, former.words);
  EXPECT_EQ(again->settled, former.settled);
  EXPECT_TRUE(again->was_running);
  const auto nothing = parse_former(print_former({}));
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->id.empty());
  EXPECT_FALSE(nothing->was_running);
}

TEST(FormerContainer, a_note_that_is_cut_off_is_refused) {
  const std::string text = print_former({.id = "c1"});
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(parse_former(text.substr(0, size))) << size;
}

}  // namespace
}  // namespace godwit::step_container
