#include "server/hub/topics.hpp"

#include <gtest/gtest.h>

namespace godwit::hub {
namespace {

const IdentityId kDevice = *IdentityId::parse("dev1");

TEST(Topics, the_documented_filters_are_known_and_others_are_not) {
  EXPECT_EQ(read_filter("$iothub/twin/res/#", kDevice), Subscription::twin_response);
  EXPECT_EQ(read_filter("$iothub/twin/PATCH/properties/desired/#", kDevice), Subscription::twin_desired);
  EXPECT_EQ(read_filter("$iothub/methods/POST/#", kDevice), Subscription::methods);
  EXPECT_EQ(read_filter("devices/dev1/messages/devicebound/#", kDevice), Subscription::device_bound);
  for (const char* filter : {"#", "+", "$iothub/#", "$iothub/twin/res/+", "devices/dev2/messages/devicebound/#",
                             "devices/+/messages/devicebound/#", "devices/dev1/#", "devices/dev1"})
    EXPECT_FALSE(read_filter(filter, kDevice)) << filter;
}

TEST(Topics, a_module_has_filters_and_topics_of_its_own) {
  const IdentityId module = *IdentityId::parse("dev1/mod1");
  for (const char* filter : {"devices/dev1/modules/mod1/#", "devices/dev1/modules/mod1/messages/devicebound/#",
                             "devices/dev1/modules/mod1/inputs/#"})
    EXPECT_EQ(read_filter(filter, module), Subscription::device_bound) << filter;
  for (const char* filter : {"devices/dev1/#", "devices/dev1/messages/devicebound/#", "devices/dev1/modules/mod2/#",
                             "devices/dev2/modules/mod1/#", "devices/dev1/modules/#"})
    EXPECT_FALSE(read_filter(filter, module)) << filter;
  EXPECT_FALSE(read_filter("devices/dev1/modules/mod1/#", kDevice));
  EXPECT_EQ(read_topic("devices/dev1/modules/mod1/messages/events/a=b", module).request, Request::telemetry);
  EXPECT_EQ(read_topic("devices/dev1/messages/events/", module).request, Request::unknown);
  EXPECT_EQ(read_topic("devices/dev1/modules/mod1/messages/events/", kDevice).request, Request::unknown);
}

TEST(Topics, the_bits_of_subscriptions_are_stored_and_stay) {
  EXPECT_EQ(static_cast<int>(Subscription::twin_response), 1);
  EXPECT_EQ(static_cast<int>(Subscription::twin_desired), 2);
  EXPECT_EQ(static_cast<int>(Subscription::methods), 4);
  EXPECT_EQ(static_cast<int>(Subscription::device_bound), 8);
}

TEST(Topics, a_twin_get_keeps_its_request_id_byte_for_byte) {
  for (const std::string rid : {"1", "2c1e-44%20x", "", "a=b"}) {
    const DeviceTopic topic = read_topic("$iothub/twin/GET/?$rid=" + rid, kDevice);
    EXPECT_EQ(topic.request, Request::twin_get);
    EXPECT_EQ(topic.request_id, rid);
    EXPECT_EQ(twin_response_topic(200, topic.request_id), "$iothub/twin/res/200/?$rid=" + rid);
  }
}

TEST(Topics, a_reported_patch_may_name_the_version_in_any_order) {
  const DeviceTopic plain = read_topic("$iothub/twin/PATCH/properties/reported/?$rid=7", kDevice);
  EXPECT_EQ(plain.request, Request::reported_patch);
  EXPECT_FALSE(plain.version);
  const DeviceTopic versioned = read_topic("$iothub/twin/PATCH/properties/reported/?$version=12&x=y&$rid=7", kDevice);
  EXPECT_EQ(versioned.request_id, "7");
  EXPECT_EQ(versioned.version, "12");
}

TEST(Topics, telemetry_is_for_the_own_device_only) {
  EXPECT_EQ(read_topic("devices/dev1/messages/events/", kDevice).request, Request::telemetry);
  EXPECT_EQ(read_topic("devices/dev1/messages/events", kDevice).request, Request::telemetry);
  EXPECT_EQ(read_topic("devices/dev1/messages/events/%24.mid=1&a=b", kDevice).request, Request::telemetry);
  EXPECT_EQ(read_topic("devices/dev2/messages/events/", kDevice).request, Request::unknown);
  EXPECT_EQ(read_topic("devices/dev1/messages/eventsX", kDevice).request, Request::unknown);
  const DeviceId odd = *DeviceId::parse("a+b#");
  EXPECT_EQ(read_topic("devices/a+b#/messages/events/", odd).request, Request::telemetry);
  EXPECT_EQ(read_topic("devices/a%2Bb%23/messages/events/", odd).request, Request::telemetry);
}

TEST(Topics, a_method_response_carries_any_integer_status) {
  EXPECT_EQ(read_topic("$iothub/methods/res/200/?$rid=1", kDevice).request, Request::method_response);
  EXPECT_EQ(read_topic("$iothub/methods/res/-5/?$rid=1", kDevice).request, Request::method_response);
  EXPECT_EQ(read_topic("$iothub/methods/res/ok/?$rid=1", kDevice).request, Request::unknown);
  EXPECT_EQ(read_topic("$iothub/methods/res/200", kDevice).request, Request::unknown);
}

TEST(Topics, everything_else_is_unknown) {
  for (const std::string& topic :
       {std::string("$iothub/twin/GET/"), std::string("$iothub/twin/GET/?rid=1"),
        std::string("$iothub/twin/GET/?$version=1"), std::string("$iothub/twin/res/200/?$rid=1"),
        std::string("$iothub/twin/PATCH/properties/desired/?$rid=1"), std::string("foo"), std::string("$SYS/x"),
        "$iothub/twin/GET/?$rid=" + std::string(300, 'r')})
    EXPECT_EQ(read_topic(topic, kDevice).request, Request::unknown) << topic.substr(0, 60);
}

TEST(Topics, answers_name_the_request_id_first) {
  EXPECT_EQ(twin_response_topic(204, "x", 5), "$iothub/twin/res/204/?$rid=x&$version=5");
  EXPECT_EQ(desired_patch_topic(9), "$iothub/twin/PATCH/properties/desired/?$version=9");
}

}  // namespace
}  // namespace godwit::hub
