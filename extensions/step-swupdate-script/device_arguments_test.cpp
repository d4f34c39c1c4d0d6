#include "device_arguments.hpp"

#include <gtest/gtest.h>

namespace godwit::step_swupdate_script {
namespace {

TEST(DeviceArguments, members_become_words_in_their_order) {
  const auto arguments = parse_device_arguments(R"({"--public-key-file":"/k e y.pem","--log":"/var/log/x"})");
  ASSERT_TRUE(arguments) << arguments.error().message;
  EXPECT_EQ(*arguments, (std::vector<std::string>{"--public-key-file", "/k e y.pem", "--log", "/var/log/x"}));
  EXPECT_TRUE(parse_device_arguments("{}")->empty());
}

TEST(DeviceArguments, what_is_no_text_is_named) {
  const auto arguments = parse_device_arguments(R"({"--retries":3})");
  ASSERT_FALSE(arguments);
  EXPECT_NE(arguments.error().message.find("--retries"), std::string::npos);
  EXPECT_FALSE(parse_device_arguments("[]"));
}

TEST(DeviceArguments, the_image_is_a_plain_file_name) {
  EXPECT_EQ(*swu_file_name(R"({"swuFileName":"a.swu"})"), "a.swu");
  for (const char* text : {"{}", R"({"swuFileName":"../a.swu"})", R"({"swuFileName":1})", R"({"swuFileName":""})"})
    EXPECT_FALSE(swu_file_name(text)) << text;
}

}  // namespace
}  // namespace godwit::step_swupdate_script
