#include <sys/stat.h>

#include "core/base/bytes.hpp"
#include "tools/cli/testing/fake_service.hpp"

namespace godwit::cli {
namespace {

constexpr const char* kGroup =
    R"({"enrollmentGroupId":"devices","etag":"e1","attestation":{"type":"symmetricKey"},"initialTwin":{"tags":{"a":1}}})";

/// What is said against it is in test/e2e/test_provisioned.py, by the real service.
struct Scene {
  FakeService service{};
  Terminal terminal{};
  Scene() {
    terminal.environment = {{"GODWIT_URL", service.url()},
                            {"GODWIT_CA", service.ca().string()},
                            {"GODWIT_TOKEN_FILE", service.token_file().string()}};
    service.answer("GET /enrolment",
                   {.status = 200, .body = json::print(json::Object{{"ca", service.ca_pem()}}), .headers = {}});
    service.answer("GET /enrollmentGroups/devices", {.status = 200, .body = kGroup, .headers = {}});
    service.answer("POST /registrations/devices/query",
                   {.status = 200, .body = R"([{"registrationId":"sn-1"}])", .headers = {}});
  }
};

TEST(Enrolment, the_url_names_service_authority_and_key) {
  Scene scene;
  scene.service.answer(
      "POST /enrollmentGroups/devices/attestationmechanism",
      {.status = 200, .body = R"({"type":"symmetricKey","symmetricKey":{"primaryKey":"AAEC"}})", .headers = {}});
  const auto shown = scene.terminal.type({"enrolment", "url", "--address", "https://updates.example:443"});
  EXPECT_EQ(shown.code, exit_code::ok) << shown.error;
  EXPECT_EQ(shown.out, "https://updates.example:443#" +
                           hex_encode(trust::certificate_fingerprint(scene.service.ca_pem()).value()) + "-000102\n");
  const auto here = scene.terminal.type({"enrolment", "url"});
  EXPECT_TRUE(here.out.starts_with(scene.service.url() + "#")) << here.out;
}

TEST(Enrolment, renewing_replaces_both_keys_and_nothing_else_and_is_asked_for) {
  Scene scene;
  scene.service.answer("PUT /enrollmentGroups/devices", {.status = 200, .body = kGroup, .headers = {}});
  const Path file = scene.terminal.home() / "url";
  const auto refused = scene.terminal.type({"enrolment", "renew-key"});
  EXPECT_NE(refused.error.find("give -y"), std::string::npos) << refused.error;
  EXPECT_EQ(scene.service.last("PUT /enrollmentGroups/devices").line, "");
  const auto done = scene.terminal.type({"enrolment", "renew-key", "-y", "--file", file});
  ASSERT_EQ(done.code, exit_code::ok) << done.error;
  const auto sent = scene.service.last("PUT /enrollmentGroups/devices");
  EXPECT_NE(sent.head.find("If-Match: \"e1\"\r\n"), std::string::npos) << sent.head;
  const json::Value body = json::parse(sent.body).value();
  const auto first = base64_decode(text_at(body, "attestation.symmetricKey.primaryKey")).value();
  const auto second = base64_decode(text_at(body, "attestation.symmetricKey.secondaryKey")).value();
  EXPECT_EQ(first.size(), 32U);
  EXPECT_EQ(second.size(), 32U);
  EXPECT_NE(first, second);
  EXPECT_EQ(text_at(body, "initialTwin.tags.a"), "1");
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_TRUE(read_file(file, 4096)->ends_with("-" + hex_encode(first) + "\n"));
  EXPECT_EQ(done.out.find(hex_encode(first)), std::string::npos) << "a key that went to a file is not printed";
}

TEST(Enrolment, a_group_of_certificates_has_no_url) {
  Scene scene;
  scene.service.answer("POST /enrollmentGroups/line/attestationmechanism",
                       {.status = 200, .body = R"({"type":"x509"})", .headers = {}});
  scene.service.answer("GET /enrollmentGroups/line",
                       {.status = 200, .body = R"({"attestation":{"type":"x509"}})", .headers = {}});
  EXPECT_NE(scene.terminal.type({"enrolment", "url", "--eid", "line"}).error.find("by certificate"), std::string::npos);
  EXPECT_NE(scene.terminal.type({"enrolment", "renew-key", "--eid", "line", "-y"}).error.find("no key"),
            std::string::npos);
}

}  // namespace
}  // namespace godwit::cli
