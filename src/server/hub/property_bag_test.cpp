#include "server/hub/property_bag.hpp"

#include <gtest/gtest.h>

namespace godwit::hub {
namespace {

TEST(PropertyBag, what_the_sdk_writes_is_read) {
  // As azure-iot-device 1.18 writes it.
  const auto bag = parse_bag("%24.mid=m-1&%24.ct=application%2Fjson&%24.ce=utf-8&room=a%20b&%24.sub=thermostat1");
  ASSERT_TRUE(bag);
  EXPECT_EQ(bag->system_value("mid"), "m-1");
  EXPECT_EQ(bag->system_value("sub"), "thermostat1");
  EXPECT_EQ(
      json::print(system_json(*bag)),
      R"({"messageId":"m-1","contentType":"application/json","contentEncoding":"utf-8","component":"thermostat1"})");
  EXPECT_EQ(json::print(application_json(*bag)), R"({"room":"a b"})");
}

TEST(PropertyBag, no_value_and_an_empty_value_are_two_things) {
  const auto bag = parse_bag("alone&empty=&c=1=2");
  ASSERT_TRUE(bag);
  EXPECT_EQ(json::print(application_json(*bag)), R"({"alone":null,"empty":"","c":"1=2"})");
  EXPECT_EQ(print_bag(*bag), "alone&empty=&c=1%3D2");
}

TEST(PropertyBag, an_edge_slash_a_question_mark_and_empty_pairs_do_not_count) {
  EXPECT_EQ(print_bag(*parse_bag("%24.on=out/")), "%24.on=out");
  EXPECT_EQ(print_bag(*parse_bag("?&a=1&&b=2&")), "a=1&b=2");
  EXPECT_EQ(print_bag(*parse_bag("")), "");
}

TEST(PropertyBag, unknown_system_properties_are_kept_apart_and_not_shown) {
  const auto bag = parse_bag("$.cdid=somebody-else&$.x=1");
  ASSERT_TRUE(bag);
  EXPECT_TRUE(bag->application.empty());
  EXPECT_EQ(json::print(system_json(*bag)), "{}") << "a device does not say who it is by a property";
}

TEST(PropertyBag, what_is_printed_is_read_back) {
  PropertyBag bag;
  bag.set_system("mid", "1");
  bag.set_system("to", "/devices/dev1/messages/devicebound");
  bag.set_system("mid", "2");
  bag.application = {{"kühl", "a&b=c/d#+%"}, {"none", std::nullopt}, {"empty", ""}};
  const std::string text = print_bag(bag);
  EXPECT_EQ(text,
            "%24.to=%2Fdevices%2Fdev1%2Fmessages%2Fdevicebound&%24.mid=2&k%C3%BChl=a%26b%3Dc%2Fd%23%2B%25&none&empty=");
  EXPECT_EQ(*parse_bag(text), bag);
}

TEST(PropertyBag, limits_and_broken_text_are_refused) {
  const auto code = [](std::string_view text, const BagLimits& limits = {}) {
    const auto bag = parse_bag(text, limits);
    return bag ? Code::ok : bag.error().code;
  };
  EXPECT_EQ(code("a=%zz"), Code::invalid_argument);
  EXPECT_EQ(code("a%"), Code::invalid_argument);
  EXPECT_EQ(code("=1"), Code::invalid_argument);
  EXPECT_EQ(code("a=%FF"), Code::invalid_argument);
  EXPECT_EQ(code("a=%00"), Code::invalid_argument);
  EXPECT_EQ(code("abc", {.bytes = 2}), Code::too_large);
  EXPECT_EQ(code("a&b&c", {.pairs = 2}), Code::too_large);
  EXPECT_EQ(code("abc=1", {.key_bytes = 2}), Code::too_large);
  EXPECT_EQ(code("a=123", {.value_bytes = 2}), Code::too_large);
}

}  // namespace
}  // namespace godwit::hub
