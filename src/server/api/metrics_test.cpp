#include "server/api/metrics.hpp"

#include <gtest/gtest.h>

#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

TEST(MetricText, a_label_cannot_break_out_of_its_line) {
  MetricText text;
  text.begin("x", MetricText::Type::gauge, "Help.");
  text.add(1.5, {{"a", "q\"b\\c\nd"}, {"b", "2"}});
  EXPECT_EQ(text.take(), "# HELP x Help.\n# TYPE x gauge\nx{a=\"q\\\"b\\\\c\\nd\",b=\"2\"} 1.5\n");
}

TEST(MetricText, buckets_of_a_histogram_add_up_to_its_count) {
  MetricText text;
  text.begin("t", MetricText::Type::histogram, "Help.");
  const double bounds[] = {0.1, 1};
  const std::uint64_t buckets[] = {2, 3, 1};
  text.add_histogram(bounds, buckets, 2, 4.5);
  EXPECT_EQ(
      text.take(),
      "# HELP t Help.\n# TYPE t histogram\nt_bucket{le=\"0.1\"} 2\nt_bucket{le=\"1\"} 5\nt_bucket{le=\"+Inf\"} 6\n"
      "t_sum 4.5\nt_count 6\n");
}

TEST(MetricsRoute, needs_a_permission_unless_it_was_opened_and_counts_requests_by_route) {
  Metrics metrics;
  TestRig rig(make_router());
  rig.services->metrics = &metrics;
  TestClient client(rig);
  EXPECT_EQ(client.send(request_text("GET", "/metrics")).status, 401);
  EXPECT_EQ(client.send(request_text("GET", "/metrics", rig.token(Role::content_reader, "c"))).status, 403);
  client.send(request_text("GET", "/godwit/v1/main/tokens/some-secret-name"));
  client.send(request_text("GET", "/nowhere/at/all"));
  const Answer answer = client.send(request_text("GET", "/metrics", rig.token(Role::deployments_reader, "d")));
  ASSERT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const auto has = [&](std::string_view line) { return answer.body.find(line) != std::string::npos; };
  EXPECT_TRUE(has("godwit_http_requests_total{route=\"/metrics\",method=\"GET\",status=\"401\"} 1\n")) << answer.body;
  EXPECT_TRUE(has("godwit_http_requests_total{route=\"/metrics\",method=\"GET\",status=\"403\"} 1\n"));
  EXPECT_TRUE(has("{route=\"/godwit/v1/{instanceId}/tokens/{tokenName}\",method=\"GET\",status=\"401\"} 1\n"));
  EXPECT_TRUE(has("{route=\"none\",method=\"GET\",status=\"404\"} 1\n"));
  EXPECT_FALSE(has("some-secret-name")) << "what strangers write must not become a label";
  TestRig open(make_router(true));
  TestClient stranger(open);
  EXPECT_EQ(stranger.send(request_text("GET", "/metrics")).status, 200);
}

TEST(MetricsRoute, tells_what_scanners_said) {
  TestRig rig(make_router(true));
  rig.services->scans = [] { return ScanFigures{.clean = 3, .infected = 1, .failed = 2, .seconds = 1.5}; };
  TestClient client(rig);
  const std::string body = client.send(request_text("GET", "/metrics")).body;
  EXPECT_NE(body.find("godwit_scans_total{result=\"clean\"} 3\n"), std::string::npos) << body;
  EXPECT_NE(body.find("godwit_scans_total{result=\"failed\"} 2\n"), std::string::npos);
  EXPECT_NE(body.find("godwit_scan_seconds_total 1.5\n"), std::string::npos);
}

TEST(ReadyRoute, says_why_it_is_not_ready) {
  TestRig rig(make_router());
  TestClient client(rig);
  EXPECT_EQ(client.send(request_text("GET", "/readyz")).status, 200);
  rig.services->why_not_ready = [] { return std::string("the disk is nearly full"); };
  const Answer answer = client.send(request_text("GET", "/readyz"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_NE(answer.body.find("not ready: the disk is nearly full"), std::string::npos) << answer.body;
  EXPECT_EQ(client.send(request_text("GET", "/healthz")).status, 200) << "the process answers all the same";
}

}  // namespace
}  // namespace godwit::api
