#include "server/api/throttle.hpp"

#include <gtest/gtest.h>

#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

TEST(Throttle, a_minutes_worth_may_come_at_once_and_then_it_drips) {
  FakeClock clock;
  Throttle throttle(clock, {.reads = 6});
  for (int i = 0; i < 6; ++i) EXPECT_EQ(throttle.take("a", ThrottleFamily::reads), std::nullopt) << i;
  EXPECT_EQ(throttle.take("a", ThrottleFamily::reads), std::chrono::seconds(10));
  clock.advance(std::chrono::seconds(9));
  EXPECT_EQ(throttle.take("a", ThrottleFamily::reads), std::chrono::seconds(1));
  clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(throttle.take("a", ThrottleFamily::reads), std::nullopt);
  clock.advance(std::chrono::hours(1));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(throttle.take("a", ThrottleFamily::reads), std::nullopt) << "no more than full";
  EXPECT_NE(throttle.take("a", ThrottleFamily::reads), std::nullopt);
}

TEST(Throttle, callers_and_families_do_not_share_and_zero_is_no_limit) {
  FakeClock clock;
  Throttle throttle(clock, {.reads = 1, .writes = 1});
  EXPECT_EQ(throttle.take("a", ThrottleFamily::reads), std::nullopt);
  EXPECT_NE(throttle.take("a", ThrottleFamily::reads), std::nullopt);
  EXPECT_EQ(throttle.take("b", ThrottleFamily::reads), std::nullopt);
  EXPECT_EQ(throttle.take("a", ThrottleFamily::writes), std::nullopt);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(throttle.take("a", ThrottleFamily::deployments), std::nullopt);
}

TEST(Throttle, memory_is_bounded_by_callers_who_still_ask) {
  FakeClock clock;
  Throttle throttle(clock, {.reads = 2});
  for (std::size_t i = 0; i < 3 * Throttle::kMostCallers; ++i) {
    EXPECT_EQ(throttle.take("c" + std::to_string(i), ThrottleFamily::reads), std::nullopt);
    if (i % 100 == 0) clock.advance(std::chrono::seconds(1));
  }
}

TEST(Throttle, a_route_counts_as_what_it_does) {
  using enum ThrottleFamily;
  EXPECT_EQ(
      throttle_family(Method::get, "/deviceUpdate/{instanceId}/management/groups/{groupId}/deployments/{deploymentId}"),
      reads);
  EXPECT_EQ(
      throttle_family(Method::put, "/deviceUpdate/{instanceId}/management/groups/{groupId}/deployments/{deploymentId}"),
      deployments);
  EXPECT_EQ(throttle_family(Method::post, "/godwit/v1/{instanceId}/groups/{groupId}/deployments/{deploymentId}:cancel"),
            deployments);
  EXPECT_EQ(throttle_family(Method::post, "/devices/query"), reads);
  EXPECT_EQ(throttle_family(Method::put, "/devices/{deviceId}"), writes);
}

TEST(Throttle, a_caller_who_asks_too_often_gets_429_with_the_time_to_wait_and_others_go_on) {
  ServerLimits limits;
  limits.throttle.reads = 2;
  TestRig rig(make_router(), limits);
  TestClient client(rig);
  const std::string busy = rig.token(Role::reader, "busy");
  const std::string other = rig.token(Role::reader, "other");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.send(request_text("GET", "/godwit/v1/main/status", busy)).status, 200);
  const Answer refused = client.send(request_text("GET", "/godwit/v1/main/status", busy));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "30");
  EXPECT_NE(refused.body.find("'busy' may do 2 reads a minute"), std::string::npos) << refused.body;
  EXPECT_NE(refused.body.find("\"code\":\"TooMany\""), std::string::npos) << refused.body;
  EXPECT_EQ(client.send(request_text("GET", "/godwit/v1/main/status", other)).status, 200);
  EXPECT_EQ(client.send(request_text("GET", "/healthz")).status, 200) << "open routes have no caller";
}

}  // namespace
}  // namespace godwit::api
