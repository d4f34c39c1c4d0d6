#include "swupdate_words.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace godwit::step_swupdate {
namespace {

std::uint32_t code_of(const std::vector<std::string>& lines) {
  SwupdateErrors errors;
  for (const std::string& line : lines) errors.take(line);
  return errors.extended_code(1);
}

TEST(SwupdateWords, the_cause_is_found_among_the_error_lines) {
  EXPECT_EQ(code_of({"[ERROR] : SWUPDATE failed [0] ERROR : Authentication of all signatures failed",
                     "[ERROR] : SWUPDATE failed [1] Image invalid or corrupted. Not installing ..."}),
            code::not_trusted);
  EXPECT_EQ(code_of({"[ERROR] : SWUPDATE failed [0] ERROR : SW not compatible with hardware",
                     "[ERROR] : SWUPDATE failed [1] Image invalid or corrupted. Not installing ..."}),
            code::other_hardware);
  EXPECT_EQ(code_of({"[ERROR] : SWUPDATE failed [1] Image invalid or corrupted. Not installing ..."}), code::bad_image);
  EXPECT_EQ(code_of({"[ERROR] : SWUPDATE failed [0] ERROR : no space"}), code::swupdate_exit + 1);
  EXPECT_EQ(code_of({"[INFO ] : Authentication"}), code::swupdate_exit + 1) << "only errors count";
}

TEST(SwupdateWords, errors_are_joined_without_decoration) {
  SwupdateErrors errors;
  errors.take("[ERROR] : SWUPDATE failed [0] ERROR : SW not compatible with hardware");
  errors.take("[ERROR] : SWUPDATE failed [0] ERROR : SWUpdate *failed* !");
  EXPECT_EQ(errors.text(), "SW not compatible with hardware");
}

TEST(SwupdateWords, success_is_believed_only_without_an_error) {
  SwupdateErrors errors;
  errors.take("[INFO ] : SWUPDATE running :  Installation in progress");
  EXPECT_FALSE(errors.says_success());
  errors.take("[INFO ] : SWUPDATE successful ! SWUPDATE successful !");
  EXPECT_TRUE(errors.says_success());
  errors.take("[ERROR] : SWUPDATE failed [0] ERROR : Postinstall script failed");
  EXPECT_FALSE(errors.says_success());
}

TEST(SwupdateWords, a_progress_message_is_read_and_nonsense_is_not) {
  std::string message(kProgressMessageSize, '\0');
  const auto put = [&](std::size_t at, std::uint32_t number) {
    std::memcpy(message.data() + at, &number, sizeof number);
  };
  put(24, 4);
  put(28, 2);
  put(32, 50);
  std::memcpy(message.data() + 36, "rootfs.img", 10);
  const auto progress = parse_progress(message);
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->steps, 4U);
  EXPECT_EQ(progress->step, 2U);
  EXPECT_EQ(progress->percent, 50U);
  EXPECT_EQ(progress->image, "rootfs.img");
  put(28, 5);
  EXPECT_FALSE(parse_progress(message)) << "step 5 of 4";
  EXPECT_FALSE(parse_progress("short"));
}

}  // namespace
}  // namespace godwit::step_swupdate
