// Uploads that outlive their connection, over real connections.
#include "server/api/content_range.hpp"
#include "server/api/test_rig.hpp"
#include "server/api/transfer.hpp"

namespace godwit::api {
namespace {

constexpr std::size_t kSize = 2'000'003;  // no multiple of any block

std::string payload() {
  std::string bytes(kSize, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>((i * 2654435761U) >> 13U);
  return bytes;
}

Router upload_router() {
  Router router;
  router.add(
      {{Method::get, "/godwit/v1/{instanceId}/blobs/{sha256}", Permission::updates_read, describe_blob},
       {Method::get, "/godwit/v1/{instanceId}/blobs/{sha256}/upload", Permission::updates_read, describe_upload},
       {Method::delete_, "/godwit/v1/{instanceId}/blobs/{sha256}/upload", Permission::updates_write, drop_upload}});
  router.add(godwit_blob_routes());
  router.add_stream(Method::put, "/godwit/v1/{instanceId}/blobs/{sha256}", Permission::updates_write, Stream::upload);
  router.add_stream(Method::get, "/download/{sha256}/{filename}", Permission::none, Stream::download);
  return router;
}

class Upload : public testing::Test {
 protected:
  [[nodiscard]] std::string part(std::size_t first, std::size_t end, const std::string& bytes) const {
    const std::string range = "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(end - 1) + "/" +
                              std::to_string(whole.size()) + "\r\n";
    return request_text("PUT", path, token, bytes, range);
  }
  Answer put(std::size_t first, std::size_t end) {
    return TestClient(rig).send(part(first, end, whole.substr(first, end - first)));
  }
  std::int64_t received() {
    const Answer answer = TestClient(rig).send(request_text("GET", path + "/upload", token));
    if (answer.status == 404) return -1;
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(json::integer_or_nothing(*json::parse_object(answer.body), "sizeInBytes"), kSize);
    return *json::integer_or_nothing(*json::parse_object(answer.body), "receivedBytes");
  }
  void wait_for(std::int64_t bytes) {
    for (int i = 0; i < 500 && received() < bytes; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  /// Bytes that a cut connection leaves behind come to rest in a moment.
  std::int64_t settled() {
    for (int i = 0; i < 500 && rig.server->connections() > 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return received();
  }

  TestRig rig{upload_router()};
  std::string token = rig.token(Role::content_administrator);
  std::string whole = payload();
  std::string path = "/godwit/v1/main/blobs/" + hex_encode(sha256(whole));
};

}  // namespace

TEST_F(Upload, parts_make_a_whole) {
  EXPECT_EQ(received(), -1);
  EXPECT_EQ(put(0, 1'000'000).status, 202);
  EXPECT_EQ(received(), 1'000'000);
  EXPECT_EQ(TestClient(rig).send(request_text("HEAD", path, token), true).status, 404) << "it is not here yet";
  EXPECT_EQ(put(1'000'000, 1'000'001).status, 202);
  EXPECT_EQ(put(1'000'001, kSize).status, 201);
  EXPECT_EQ(received(), -1);
  EXPECT_EQ(TestClient(rig).send(request_text("HEAD", path, token), true).status, 200);
  EXPECT_EQ(put(1'000'001, kSize).status, 200) << "it was there";
}

TEST_F(Upload, what_came_before_a_cut_is_not_sent_again) {
  {
    TestClient client(rig);
    client.peer.write(part(0, kSize, whole).substr(0, 1'500'000));
    wait_for(800'000);
    client.peer.cut();
  }
  const auto here = settled();
  ASSERT_GE(here, 800'000) << "all but what was still on the way";
  ASSERT_LT(here, 1'500'000);
  EXPECT_EQ(put(static_cast<std::size_t>(here), kSize).status, 201);
}

TEST_F(Upload, an_offset_that_does_not_fit_is_told_what_does) {
  EXPECT_EQ(put(10, 20).status, 409);
  EXPECT_EQ(put(0, 10).status, 202);
  const Answer gap = put(11, 20);
  EXPECT_EQ(gap.status, 409);
  EXPECT_NE(gap.body.find("continue at byte 10"), std::string::npos) << gap.body;
  EXPECT_EQ(put(5, 20).status, 409) << "bytes that are here are not taken twice";
  EXPECT_EQ(received(), 10);
  EXPECT_EQ(put(0, 5).status, 202) << "byte 0 begins anew";
  EXPECT_EQ(received(), 5);
  EXPECT_EQ(TestClient(rig).send(request_text("DELETE", path + "/upload", token)).status, 204);
  EXPECT_EQ(TestClient(rig).send(request_text("DELETE", path + "/upload", token)).status, 404);
}

TEST_F(Upload, other_bytes_than_announced_are_refused_and_leave_nothing) {
  EXPECT_EQ(put(0, 1000).status, 202);
  std::string rest = whole.substr(1000);
  rest.back() = static_cast<char>(rest.back() + 1);
  const Answer wrong = TestClient(rig).send(part(1000, kSize, rest));
  EXPECT_EQ(wrong.status, 400);
  EXPECT_NE(wrong.body.find("DigestMismatch"), std::string::npos);
  EXPECT_EQ(received(), -1);
}

TEST_F(Upload, a_newer_connection_takes_over_from_one_that_hangs) {
  TestClient hanging(rig);
  hanging.peer.write(part(0, kSize, whole).substr(0, 1'200'000));
  wait_for(800'000);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const std::int64_t here = received();
  EXPECT_EQ(put(static_cast<std::size_t>(here), static_cast<std::size_t>(here) + 1).status, 202);
  hanging.peer.write(std::string(700'000, 'x'));
  EXPECT_EQ(hanging.read().status, 409);
  EXPECT_EQ(put(static_cast<std::size_t>(here) + 1, kSize).status, 201);
}

TEST_F(Upload, malformed_ranges_are_refused_before_the_body) {
  for (const char* bad : {"bytes 0-9", "bytes 0-9/*", "bytes */10", "bytes 5-4/10", "bytes 0-10/10", "octets 0-9/10",
                          "bytes 0-9/10, bytes 0-9/10", "bytes -1-9/10", "bytes 0-99999999999999999999/10", ""}) {
    const std::string fields = std::string("Content-Range: ") + bad + "\r\n";
    EXPECT_EQ(TestClient(rig).send(request_text("PUT", path, token, "0123456789", fields)).status, 400) << bad;
  }
  EXPECT_EQ(TestClient(rig).send(request_text("PUT", path, token, "012", "Content-Range: bytes 0-9/10\r\n")).status,
            400)
      << "the body is shorter than its range";
  EXPECT_EQ(TestClient(rig)
                .send(request_text("PUT", path, token, "0123456789", "Content-Range: bytes 0-9/2147483649\r\n"))
                .status,
            413);
  EXPECT_EQ(rig.blobs->usage().partial_uploads, 0U);
}

TEST_F(Upload, a_damaged_payload_is_never_served_and_reported) {
  ASSERT_EQ(put(0, kSize).status, 201);
  const std::string url = rig.urls.payload(sha256(whole), "app.bin", rig.clock.now());
  const std::string download = url.substr(url.find("/download/"));
  ASSERT_TRUE(rig.blobs->quarantine(sha256(whole)));
  const Answer refused = TestClient(rig).send(request_text("GET", download));
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(refused.body.find("damaged"), std::string::npos) << refused.body;
  const Answer told = TestClient(rig).send(request_text("GET", "/godwit/v1/main/blobs", token));
  EXPECT_NE(told.body.find(hex_encode(sha256(whole))), std::string::npos) << told.body;
  EXPECT_EQ(put(0, kSize).status, 201) << "a new upload heals it";
  EXPECT_TRUE(TestClient(rig).send(request_text("GET", download)).body == whole);
  EXPECT_EQ(TestClient(rig).send(request_text("POST", "/godwit/v1/main/blobs:check", token)).status, 400)
      << "this rig has no check";
}

TEST(ContentRange, is_read_strictly) {
  const auto range = parse_content_range("bytes 5-9/10");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->count(), 5U);
  EXPECT_TRUE(range->is_end());
  EXPECT_FALSE(parse_content_range("bytes 0-8/10")->is_end());
  EXPECT_FALSE(parse_content_range("bytes 0-10/10")) << "the last byte is inside";
  EXPECT_FALSE(parse_content_range("bytes 5-4/10"));
  EXPECT_FALSE(parse_content_range("bytes 0-8/10 "));
  EXPECT_FALSE(parse_content_range("bytes 0 - 8/10"));
}

}  // namespace godwit::api
