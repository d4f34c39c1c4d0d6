// Goal: what a client of a storage container does works here, and what it may not do is refused in the shape it reads.
#include <gtest/gtest.h>

#include "core/twin/diagnostics.hpp"
#include "server/api/test_rig.hpp"
#include "server/service/diagnostics/log_collections.hpp"

namespace godwit::api {
namespace {

class LogTransfer : public ::testing::Test {
 protected:
  LogTransfer()
      : rig(make_router()),
        logs(*rig.store, rig.clock, rig.log, service::LogFiles::open(rig.folder.path() / "logs").value(),
             service::UploadUrls("https://localhost", Secret("0123456789abcdef0123456789abcdef")),
             [this](store::Records&, const IdentityId&, const json::Object& patch) -> Result<void> {
               url = (*twin::read_log_request(patch))->upload_url;
               return {};
             },
             {.instance_id = "main", .agent_bytes = 100'000}),
        token(rig.token(Role::administrator)),
        client(rig) {
    rig.services->logs = &logs;
    const auto job = [&](store::Records& records) {
      const Secret key(std::string(32, 'k'));
      return records.devices().insert_identity(
          {.id = DeviceId::parse("a").value(), .primary_key = key, .secondary_key = key}, rig.clock.now());
    };
    EXPECT_TRUE(rig.store->write(job));
    EXPECT_EQ(ask("PUT", "/op-1", R"({"deviceList":[{"deviceId":"a"}],"description":"why"})").status, 201);
  }
  Answer ask(std::string_view method, const std::string& rest, std::string_view body = {}) {
    return client.send(request_text(
        method, "/deviceUpdate/main/management/deviceDiagnostics/logCollections" + rest + "?api-version=2022-10-01",
        token, body));
  }
  /// As the URL says, with a blob put before the query.
  std::string blob(const std::string& name) const {
    const std::string path = url.substr(url.find("/device-logs"));
    return path.substr(0, path.find('?')) + "/" + name + path.substr(path.find('?'));
  }
  Answer put(const std::string& target, const std::string& body, std::string fields = "x-ms-blob-type: BlockBlob\r\n") {
    if (body.empty()) fields += "Content-Length: 0\r\n";
    return client.send(request_text("PUT", target, "", body, fields));
  }

  TestRig rig;
  service::LogCollections logs;
  std::string url;
  std::string token;
  TestClient client;
};

TEST_F(LogTransfer, a_block_blob_is_taken_with_the_headers_that_clients_read_and_comes_out_again) {
  const std::string text(70'000, 'x');
  const Answer stored = put(blob("a/op-1/agent/x%20y.log"), text);
  ASSERT_EQ(stored.status, 201) << stored.body;
  for (const char* name : {"etag", "last-modified", "x-ms-request-server-encrypted", "x-ms-request-id", "x-ms-version"})
    EXPECT_TRUE(stored.headers.contains(name)) << name;
  EXPECT_EQ(put(blob("a/op-1/agent/empty.log"), "").status, 201);
  const Answer listed = client.send(request_text("GET", "/godwit/v1/main/logCollections/op-1/files?agent=a", token));
  const auto body = json::parse_object(listed.body);
  ASSERT_TRUE(body) << listed.body;
  const json::Object& file = body->at("value").as_array().at(0).as_object();
  EXPECT_EQ(file.at("name"), "a/op-1/agent/x y.log");
  const std::string id(file.at("fileId").as_string());
  const Answer fetched = client.send(request_text("GET", "/godwit/v1/main/logCollections/op-1/files/" + id, token));
  EXPECT_EQ(fetched.status, 200);
  EXPECT_TRUE(fetched.body == text);
  EXPECT_NE(fetched.headers.at("content-disposition").find("attachment; filename=\"x y.log\""), std::string::npos);
  EXPECT_EQ(client.send(request_text("GET", "/godwit/v1/main/logCollections/op-1/files/99", token)).status, 404);
}

TEST_F(LogTransfer, what_is_refused_is_refused_in_the_shape_of_a_storage_container) {
  const Answer forged = put("/device-logs/logs00/x?se=2999-01-01T00:00:00Z&sig=AAAA", "x");
  EXPECT_EQ(forged.status, 403);
  EXPECT_EQ(forged.headers.at("x-ms-error-code"), "AuthenticationFailed");
  EXPECT_NE(forged.body.find("<Error><Code>AuthenticationFailed</Code>"), std::string::npos) << forged.body;
  TestClient second(rig);
  EXPECT_EQ(second.send(request_text("PUT", blob("x"), "", "x")).status, 400) << "no x-ms-blob-type";
  TestClient third(rig);
  const std::string large(100'001, 'x');
  EXPECT_EQ(third.send(request_text("PUT", blob("x"), "", large, "x-ms-blob-type: BlockBlob\r\n")).status, 413);
  TestClient fourth(rig);
  EXPECT_EQ(
      fourth.send(request_text("PUT", blob("x") + "&comp=block&blockid=AA", "", "x", "x-ms-blob-type: BlockBlob\r\n"))
          .status,
      400);
  TestClient fifth(rig);
  EXPECT_EQ(fifth.send(request_text("PUT", blob("..%2Fx/%2E%2E/y"), "", "x", "x-ms-blob-type: BlockBlob\r\n")).status,
            400);
  TestClient sixth(rig);
  EXPECT_EQ(sixth.send(request_text("GET", blob("x"))).status, 405);
}

TEST_F(LogTransfer, collections_have_the_shapes_of_the_original) {
  const Answer got = ask("GET", "/op-1");
  const auto body = json::parse_object(got.body);
  EXPECT_EQ(body->at("operationId"), "op-1");
  EXPECT_EQ(body->at("description"), "why");
  EXPECT_EQ(body->at("status"), "Running");
  EXPECT_EQ(body->at("deviceList").as_array().at(0).as_object().at("deviceId"), "a");
  EXPECT_EQ(json::parse_object(ask("GET", "").body)->at("value").as_array().size(), 1U);
  const auto detail = json::parse_object(ask("GET", "/op-1/detailedStatus").body);
  EXPECT_EQ(detail->at("deviceStatus").as_array().at(0).as_object().at("status"), "Running");
  EXPECT_EQ(ask("GET", "/op-9").status, 404);
  EXPECT_EQ(ask("PUT", "/op-2", R"({"deviceList":[{"deviceId":"nobody"}]})").status, 404);
  EXPECT_EQ(ask("PUT", "/op-2", R"({"deviceList":[]})").status, 400);
  EXPECT_EQ(ask("PUT", "/op-2", R"({"deviceList":["a"]})").status, 400);
  EXPECT_EQ(ask("PUT", "/op-1", R"({"deviceList":[{"deviceId":"a","moduleId":"m"}]})").status, 409);
  EXPECT_EQ(client.send(request_text("DELETE", "/godwit/v1/main/logCollections/op-1", token)).status, 204);
  EXPECT_EQ(ask("GET", "/op-1").status, 404);
}

}  // namespace
}  // namespace godwit::api
