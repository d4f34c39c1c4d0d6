// Payload bytes in and out over a real connection.
#include "server/api/transfer.hpp"

#include <atomic>
#include <filesystem>
#include <future>

#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

constexpr std::size_t kSize = 1'234'567;  // no multiple of any block

/// Byte i tells i: a shifted, repeated or lost block cannot go unnoticed.
std::string payload(std::size_t size = kSize) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 2654435761U) >> 13U);
  return bytes;
}

Router transfer_router() {
  Router router;
  router.add({{Method::get, "/godwit/v1/{instanceId}/blobs/{sha256}", Permission::updates_read, describe_blob}});
  router.add_stream(Method::put, "/godwit/v1/{instanceId}/blobs/{sha256}", Permission::updates_write, Stream::upload);
  router.add_stream(Method::get, "/download/{sha256}/{filename}", Permission::none, Stream::download);
  return router;
}

std::string blob_path(std::string_view bytes) { return "/godwit/v1/main/blobs/" + hex_encode(sha256(bytes)); }
std::string link_path(TestRig& rig, std::string_view bytes) {
  const std::string url = rig.urls.payload(sha256(bytes), "app image.bin", rig.clock.now());
  return url.substr(url.find("/download/"));
}
std::size_t files_in(const std::filesystem::path& folder) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    count += entry.is_regular_file() ? 1U : 0U;
  return count;
}

TEST(Transfer, what_is_uploaded_can_be_downloaded_whole_and_in_parts) {
  TestRig rig(transfer_router());
  const std::string token = rig.token(Role::content_administrator);
  const std::string bytes = payload();
  TestClient client(rig);
  EXPECT_EQ(client.send(request_text("HEAD", blob_path(bytes), token), true).status, 404);
  ASSERT_EQ(client.send(request_text("PUT", blob_path(bytes), token, bytes)).status, 201);
  EXPECT_EQ(client.send(request_text("PUT", blob_path(bytes), token, bytes)).status, 200) << "it was there";
  const Answer there = client.send(request_text("GET", blob_path(bytes), token));
  EXPECT_EQ(*json::integer_or_nothing(*json::parse_object(there.body), "sizeInBytes"),
            static_cast<std::int64_t>(kSize));

  const std::string path = link_path(rig, bytes);
  const Answer whole = client.send(request_text("GET", path));
  ASSERT_EQ(whole.status, 200);
  EXPECT_TRUE(whole.body == bytes);
  const std::string etag = "\"" + hex_encode(sha256(bytes)) + "\"";
  EXPECT_EQ(whole.headers.at("etag"), etag);
  EXPECT_EQ(whole.headers.at("accept-ranges"), "bytes");
  const Answer part =
      client.send(request_text("GET", path, {}, {}, "Range: bytes=65535-200000\r\nIf-Range: " + etag + "\r\n"));
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.headers.at("content-range"), "bytes 65535-200000/1234567");
  EXPECT_TRUE(part.body == bytes.substr(65535, 200001 - 65535));
  const Answer tail = client.send(request_text("GET", path, {}, {}, "Range: bytes=-10\r\n"));
  EXPECT_TRUE(tail.body == bytes.substr(kSize - 10));
  EXPECT_EQ(client.send(request_text("GET", path, {}, {}, "Range: bytes=0-1,5-6\r\n")).body.size(), kSize);
  const Answer beyond = client.send(request_text("GET", path, {}, {}, "Range: bytes=1234567-\r\n"));
  EXPECT_EQ(beyond.status, 416);
  EXPECT_EQ(beyond.headers.at("content-range"), "bytes */1234567");
  EXPECT_EQ(client.send(request_text("GET", path, {}, {}, "If-None-Match: " + etag + "\r\n")).status, 304);
  const Answer head = client.send(request_text("HEAD", path), true);
  EXPECT_EQ(head.headers.at("content-length"), "1234567");
  EXPECT_EQ(client.send(request_text("GET", path, {}, {}, "Range: bytes=0-0\r\n")).body, bytes.substr(0, 1));
}

TEST(Transfer, a_link_needs_its_signature) {
  TestRig rig(transfer_router());
  const std::string bytes = payload(1000);
  const std::string token = rig.token(Role::administrator);
  TestClient client(rig);
  ASSERT_EQ(client.send(request_text("PUT", blob_path(bytes), token, bytes)).status, 201);
  const std::string path = link_path(rig, bytes);
  const std::string other = path.substr(0, path.size() - 1) + (path.back() == 'A' ? 'B' : 'A');
  EXPECT_EQ(client.send(request_text("GET", path.substr(0, path.find('?')))).status / 100, 4);
  EXPECT_EQ(client
                .send(request_text(
                    "GET", "/download/" + hex_encode(sha256("never uploaded")) + path.substr(path.find('/', 11))))
                .status,
            403);
  EXPECT_EQ(client.send(request_text("GET", link_path(rig, "never uploaded"))).status, 404);
  static_cast<void>(other);
}

TEST(Transfer, an_upload_that_is_not_what_it_says_leaves_nothing) {
  TestRig rig(transfer_router());
  const std::string token = rig.token(Role::administrator);
  const std::string bytes = payload(700'000);
  const std::string changed = bytes.substr(0, bytes.size() - 1) + "?";
  {
    TestClient client(rig);
    const Answer wrong = client.send(request_text("PUT", blob_path(bytes), token, changed));
    EXPECT_EQ(wrong.status, 400);
    EXPECT_NE(wrong.body.find("DigestMismatch"), std::string::npos) << wrong.body;
    EXPECT_EQ(client.send(request_text("HEAD", blob_path(bytes), token), true).status, 404)
        << "and the connection goes on";
  }
  {
    TestClient client(rig);
    EXPECT_EQ(client.send(request_text("PUT", blob_path(bytes), token, {}, "Transfer-Encoding: chunked\r\n")).status,
              411);
    EXPECT_TRUE(client.is_ended());
  }
  EXPECT_EQ(
      TestClient(rig).send(request_text("PUT", blob_path(bytes), token, {}, "Content-Length: 2147483649\r\n")).status,
      413);
  EXPECT_EQ(TestClient(rig).send(request_text("PUT", "/godwit/v1/main/blobs/abc", token, "x")).status, 400);
  EXPECT_EQ(TestClient(rig).send(request_text("PUT", blob_path(bytes), rig.token(Role::reader, "reader"), "x")).status,
            403);
  {
    TestClient client(rig);  // gone in the middle
    client.peer.write(request_text("PUT", blob_path(bytes), token, {}, "Content-Length: 700000\r\n") +
                      bytes.substr(0, 600'000));
    client.peer.cut();
  }
  for (int i = 0; i < 500 && (rig.server->connections() > 0 || files_in(rig.folder.path() / "blobs") > 0); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(files_in(rig.folder.path() / "blobs"), 0U);
}

TEST(Transfer, an_expected_upload_of_what_is_there_is_answered_without_the_body) {
  TestRig rig(transfer_router());
  const std::string token = rig.token(Role::administrator);
  const std::string bytes = payload(1000);
  TestClient client(rig);
  EXPECT_EQ(
      client.send(request_text("PUT", blob_path(bytes), token, {}, "Content-Length: 1000\r\nExpect: 100-continue\r\n"))
          .status,
      100);
  EXPECT_EQ(client.send(bytes).status, 201);
  EXPECT_EQ(
      client.send(request_text("PUT", blob_path(bytes), token, {}, "Content-Length: 1000\r\nExpect: 100-continue\r\n"))
          .status,
      200);
  EXPECT_TRUE(client.is_ended());
}

// Goal: a client that does not read its download holds one connection, no worker and no loop.
TEST(Transfer, a_client_that_does_not_read_does_not_stop_others) {
  TestRig rig(transfer_router(), ServerLimits{.write_time = std::chrono::seconds(1)});
  const std::string token = rig.token(Role::administrator);
  const std::string bytes = payload(20'000'000);
  ASSERT_EQ(TestClient(rig).send(request_text("PUT", blob_path(bytes), token, bytes)).status, 201);
  const std::string path = link_path(rig, bytes);
  net::TestPeer lazy[4];
  for (net::TestPeer& peer : lazy) {
    ASSERT_TRUE(peer.dial(rig.server->port(), 4096) && peer.start_tls());
    peer.write(request_text("GET", path));
  }
  TestClient client(rig);
  EXPECT_TRUE(client.send(request_text("GET", path)).body == bytes);
  for (int i = 0; i < 500 && rig.server->connections() > 1; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_LE(rig.server->connections(), 1U) << "those that never read are ended";
}

/// A disk whose writes wait until the gate is open.
class GatedBlobs final : public blobs::Blobs {
 public:
  explicit GatedBlobs(std::shared_future<void> gate) : gate_(std::move(gate)) {}
  Result<std::unique_ptr<blobs::Upload>> start(const Bytes&, ByteCount) override {
    return std::make_unique<GatedUpload>(gate_);
  }
  Result<std::optional<ByteCount>> size_of(const Bytes&) override { return std::optional<ByteCount>{}; }
  Result<std::optional<ByteCount>> hold(const Bytes&) override { return std::optional<ByteCount>{}; }
  Result<UniqueFd> open(const Bytes&) override { return fail(Code::not_found, "none"); }
  Result<void> remove(const Bytes&) override { return {}; }
  Result<bool> remove_unless_used_after(const Bytes&, WallTime) override { return true; }
  Result<std::unique_ptr<blobs::Upload>> resume(const Bytes& sha256, ByteCount size, ByteCount) override {
    return start(sha256, size);
  }
  std::optional<blobs::PartialUpload> find_partial(const Bytes&) override { return std::nullopt; }
  Result<bool> drop_partial(const Bytes&) override { return false; }
  Result<std::size_t> expire_partials(WallTime) override { return 0; }
  Result<std::vector<blobs::BlobInfo>> list(const Bytes&, std::size_t) override {
    return std::vector<blobs::BlobInfo>{};
  }
  Result<void> quarantine(const Bytes&) override { return {}; }
  Result<std::vector<blobs::BlobInfo>> quarantined() override { return std::vector<blobs::BlobInfo>{}; }
  blobs::Usage usage() override { return {}; }

 private:
  class GatedUpload final : public blobs::Upload {
   public:
    explicit GatedUpload(std::shared_future<void> gate) : gate_(std::move(gate)) {}
    Result<void> write(std::string_view bytes) override {
      gate_.wait();
      total_ += bytes.size();
      return {};
    }
    Result<WallTime> finish() override { return WallTime{}; }

   private:
    std::shared_future<void> gate_;
    ByteCount total_ = 0;
  };
  std::shared_future<void> gate_;
};

// Goal: while the disk does not take a chunk, nothing more is read, so the client's own send blocks.
TEST(Transfer, a_slow_disk_stops_the_socket_and_not_the_server) {
  std::promise<void> gate;
  TestRig rig(transfer_router(), {}, never_called<hub::Registry>(), 64,
              std::make_unique<GatedBlobs>(gate.get_future().share()));
  const std::string token = rig.token(Role::administrator);
  const std::string megabyte(1'000'000, 'x');
  TestClient client(rig);
  std::atomic<int> sent = 0;
  std::thread writer([&] {
    client.peer.write(request_text("PUT", blob_path("x"), token, {}, "Content-Length: 100000000\r\n"));
    for (int i = 0; i < 100 && client.peer.write(megabyte); ++i) ++sent;
  });
  int before = -1;
  while (before != sent) {  // until it stands still
    before = sent;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  EXPECT_LT(sent, 50) << "only the buffers of the two sockets may have filled";
  EXPECT_EQ(TestClient(rig).send(request_text("GET", blob_path("x"), token)).status, 404) << "others are served";
  gate.set_value();
  EXPECT_EQ(client.read().status, 201);
  writer.join();
  EXPECT_EQ(sent, 100);
}

TEST(Transfer, a_write_that_outlives_the_patience_of_stop_is_safe) {
  std::promise<void> gate;
  TestRig rig(transfer_router(), {}, never_called<hub::Registry>(), 64,
              std::make_unique<GatedBlobs>(gate.get_future().share()));
  TestClient client(rig);
  client.peer.write(request_text("PUT", blob_path("x"), rig.token(Role::administrator), "0123456789"));
  while (rig.server->connections() == 0) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  rig.server->stop(Duration{0});
  EXPECT_EQ(rig.server->connections(), 0U);
  gate.set_value();
  rig.workers.stop();
}

}  // namespace
}  // namespace godwit::api
