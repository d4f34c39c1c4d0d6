// The provisioning service's surface over a real connection, with a store.
#include "core/trust/test_certificates.hpp"
#include "server/api/provisioning/shapes.hpp"
#include "server/api/services.hpp"
#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

using trust::MadeCertificate;

Router provisioning_router() {
  Router router;
  router.add(provisioning_routes());
  return router;
}

std::string as_json(const std::string& text) { return json::print(json::Value(text)); }

class ProvisioningRest : public ::testing::Test {
 protected:
  Answer call(std::string_view method, const std::string& path, std::string_view body = {},
              std::string_view fields = {}) {
    return client_.send(request_text(method, path + "?api-version=2021-10-01", token_, body, fields));
  }
  static json::Object object(const Answer& answer) { return json::parse_object(answer.body).value_or(json::Object{}); }
  static std::string text_at(const Answer& answer, const char* member) {
    return json::text_or_nothing(object(answer), member).value_or("");
  }
  static std::size_t count(const Answer& answer) { return json::parse(answer.body)->get_array().size(); }
  store::EnrollmentRecord stored(store::EnrollmentKind kind, const std::string& id) {
    store::EnrollmentRecord found;
    GODWIT_CHECK(rig_.store
                     ->read([&](store::Records& records) -> Result<void> {
                       GODWIT_TRY(const auto record, records.provisioning().find_enrollment(kind, id));
                       if (record) found = *record;
                       return {};
                     })
                     .has_value());
    return found;
  }
  void put_registration(const std::string& id, const std::string& group) {
    GODWIT_CHECK(
        rig_.store
            ->write([&](store::Records& records) {
              return records.provisioning().save_registration(
                  {.id = id, .enrollment_kind = store::EnrollmentKind::group, .enrollment_id = group, .device_id = id});
            })
            .has_value());
  }

  TestRig rig_{provisioning_router()};
  std::string token_ = rig_.token(Role::hub_administrator);
  TestClient client_{rig_};
};

constexpr const char* kKeyGroup = R"({"enrollmentGroupId":"line","attestation":{"type":"symmetricKey"}})";

TEST_F(ProvisioningRest, a_group_is_made_with_keys_changed_by_its_etag_and_removed) {
  const Answer made = call("PUT", "/enrollmentGroups/line", kKeyGroup);
  ASSERT_EQ(made.status, 200) << made.body;
  EXPECT_EQ(text_at(made, "enrollmentGroupId"), "line");
  EXPECT_EQ(text_at(made, "provisioningStatus"), "enabled");
  EXPECT_EQ(text_at(made, "etag"), "AAAAAAAAAAE=");
  const json::Object keys = object(made).at("attestation").at("symmetricKey").get_object();
  EXPECT_EQ(base64_decode(*json::text_or_nothing(keys, "primaryKey"))->size(), 64U);
  EXPECT_EQ(object(made).at("reprovisionPolicy"),
            (json::Object{{"updateHubAssignment", true}, {"migrateDeviceData", true}}));

  const Answer read = call("GET", "/enrollmentGroups/line");
  EXPECT_FALSE(object(read).at("attestation").get_object().contains("symmetricKey")) << "reading shows no keys";
  const Answer secret = call("POST", "/enrollmentgroups/line/attestationmechanism");
  EXPECT_EQ(object(secret).at("symmetricKey").get_object(), keys);

  EXPECT_EQ(call("PUT", "/enrollmentGroups/line", kKeyGroup).status, 409);
  json::Object body = object(read);
  body["provisioningStatus"] = "disabled";
  body["reprovisionPolicy"] = json::Object{{"updateHubAssignment", true}, {"migrateDeviceData", false}};
  const Answer changed = call("PUT", "/enrollmentGroups/line", json::print(body), "If-Match: \"AAAAAAAAAAE=\"\r\n");
  ASSERT_EQ(changed.status, 200) << changed.body;
  const auto record = stored(store::EnrollmentKind::group, "line");
  EXPECT_FALSE(record.is_enabled);
  EXPECT_EQ(record.policy, store::ReprovisionPolicy::reset);
  EXPECT_EQ(base64_encode(record.primary_key.reveal()), *json::text_or_nothing(keys, "primaryKey"))
      << "keys stay unless others are given";
  EXPECT_EQ(call("PUT", "/enrollmentGroups/line", kKeyGroup, "If-Match: AAAAAAAAAAE=\r\n").status, 412);
  EXPECT_EQ(call("PUT", "/enrollmentGroups/other", kKeyGroup, "If-Match: *\r\n").status, 404);
  EXPECT_EQ(call("DELETE", "/enrollmentGroups/line", {}, "If-Match: \"AAAAAAAAAAE=\"\r\n").status, 412);
  EXPECT_EQ(call("DELETE", "/enrollmentGroups/line").status, 204);
  const Answer gone = call("GET", "/enrollmentGroups/line");
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(object(gone).at("errorCode").get_int64(), 404001);
  EXPECT_FALSE(text_at(gone, "message").empty());
}

TEST_F(ProvisioningRest, an_enrollment_names_its_device_and_first_twin) {
  const std::string key = base64_encode("0123456789abcdef0123456789abcdef");
  const Answer made = call("PUT", "/enrollments/Dev-1",
                           R"({"registrationId":"Dev-1","deviceId":"press-7","attestation":{"type":"symmetricKey",)"
                           R"("symmetricKey":{"primaryKey":")" +
                               key +
                               R"("}},"initialTwin":{"tags":{"ADUGroup":"g"},"properties":{"desired":{"a":1}}},)"
                               R"("allocationPolicy":"hashed","iotHubs":["hub.test"]})");
  ASSERT_EQ(made.status, 200) << made.body;
  EXPECT_EQ(text_at(made, "registrationId"), "dev-1");
  EXPECT_EQ(text_at(made, "deviceId"), "press-7");
  EXPECT_EQ(object(made).at("attestation").at("symmetricKey").at("primaryKey").get_string(), key);
  EXPECT_EQ(json::print(object(made).at("initialTwin")),
            R"({"tags":{"ADUGroup":"g"},"properties":{"desired":{"a":1}}})");
  EXPECT_EQ(call("GET", "/enrollments/DEV-1").status, 200) << "registration ids are blind to case";
  EXPECT_EQ(stored(store::EnrollmentKind::individual, "dev-1").device_id, "press-7");
}

TEST_F(ProvisioningRest, what_is_not_served_or_broken_is_refused_with_a_reason_and_stores_nothing) {
  const std::string big(4097, 'x');
  const std::vector<std::pair<std::string, std::string>> rows{
      {"{", ""},
      {"{}", "attestation is missing"},
      {R"({"attestation":{"type":"tpm","tpm":{"endorsementKey":"x"}}})", "tpm"},
      {R"({"attestation":{"type":"none"}})", "attestation.type"},
      {R"({"attestation":{"type":"x509"}})", "x509 is missing"},
      {R"({"attestation":{"type":"x509","x509":{}}})", "exactly one"},
      {R"({"attestation":{"type":"x509","x509":{"clientCertificates":{"primary":{"certificate":"x"}}}}})",
       "one device"},
      {R"({"attestation":{"type":"x509","x509":{"signingCertificates":{"primary":{"certificate":"x"}}}}})",
       "primary.certificate"},
      {R"({"attestation":{"type":"x509","x509":{"signingCertificates":{}}}})", "primary is missing"},
      {R"({"attestation":{"type":"x509","x509":{"caReferences":{"primary":"nobody"}}}})", "no authority"},
      {R"({"attestation":{"type":"symmetricKey","symmetricKey":{"primaryKey":"c2hvcnQ="}}})", "16 to 64"},
      {R"({"attestation":{"type":"symmetricKey"},"allocationPolicy":"custom"})", "custom"},
      {R"({"attestation":{"type":"symmetricKey"},"iotHubHostName":"elsewhere.example"})", "its own hub"},
      {R"({"attestation":{"type":"symmetricKey"},"capabilities":{"iotEdge":true}})", "iotEdge"},
      {R"({"attestation":{"type":"symmetricKey"},"provisioningStatus":"asleep"})", "provisioningStatus"},
      {R"({"attestation":{"type":"symmetricKey"},"initialTwin":{"tags":{"a.b":1}}})", "initialTwin.tags"},
      {R"({"attestation":{"type":"symmetricKey"},"initialTwin":{"properties":{"desired":{"a":")" + big + R"("}}}})",
       "desired"},
      {R"({"enrollmentGroupId":"other","attestation":{"type":"symmetricKey"}})", "the path says"},
  };
  for (const auto& [body, reason] : rows) {
    const Answer refused = call("PUT", "/enrollmentGroups/line", body);
    EXPECT_TRUE(refused.status == 400 || refused.status == 413) << refused.status << body.substr(0, 100);
    EXPECT_NE(text_at(refused, "message").find(reason), std::string::npos) << refused.body;
  }
  EXPECT_EQ(call("PUT", "/enrollmentGroups/a%20b", kKeyGroup).status, 400);
  EXPECT_EQ(count(call("POST", "/enrollmentGroups/query", R"({"query":"*"})")), 0U);
}

TEST_F(ProvisioningRest, certificates_are_checked_kept_and_told_by_their_facts) {
  const MadeCertificate authority({.common_name = "Line", .is_authority = true});
  const MadeCertificate device({.common_name = "dev-1"}, &authority);
  const auto body = [](const std::string& member, const std::string& certificate) {
    return R"({"attestation":{"type":"x509","x509":{")" + member + R"(":{"primary":{"certificate":)" +
           as_json(certificate) + "}}}}}";
  };
  const Answer made = call("PUT", "/enrollmentGroups/line", body("signingCertificates", authority.pem()));
  ASSERT_EQ(made.status, 200) << made.body;
  const json::Object info =
      object(made).at("attestation").at("x509").at("signingCertificates").at("primary").at("info").get_object();
  EXPECT_EQ(*json::text_or_nothing(info, "subjectName"), "CN=Line");
  EXPECT_EQ(*json::text_or_nothing(info, "sha256Thumbprint"), hex_encode(sha256(authority.der())));
  EXPECT_EQ(call("PUT", "/enrollmentGroups/line", made.body, "If-Match: *\r\n").status, 200) << "an answer sent back";

  EXPECT_EQ(call("PUT", "/enrollmentGroups/other", body("signingCertificates", authority.pem())).status, 409);
  EXPECT_EQ(call("PUT", "/enrollmentGroups/other", body("signingCertificates", device.pem())).status, 400)
      << "a device signs nothing";
  const Answer single = call("PUT", "/enrollments/dev-1", body("clientCertificates", base64_encode(device.der())));
  ASSERT_EQ(single.status, 200) << single.body;
  EXPECT_EQ(stored(store::EnrollmentKind::individual, "dev-1").primary_certificate, device.pem());
}

TEST_F(ProvisioningRest, lists_go_in_pages) {
  for (const char* id : {"c", "a", "b"})
    ASSERT_EQ(call("PUT", std::string("/enrollmentGroups/") + id, R"({"attestation":{"type":"symmetricKey"}})").status,
              200);
  const Answer first = call("POST", "/enrollmentGroups/query", R"({"query":"SELECT * FROM enrollmentGroups"})",
                            "x-ms-max-item-count: 2\r\n");
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(count(first), 2U);
  EXPECT_EQ(first.headers.at("x-ms-item-type"), "EnrollmentGroup");
  const Answer second =
      call("POST", "/enrollmentGroups/query", R"({"query":"*"})",
           "x-ms-max-item-count: 2\r\nx-ms-continuation: " + first.headers.at("x-ms-continuation") + "\r\n");
  EXPECT_EQ(count(second), 1U);
  EXPECT_FALSE(second.headers.contains("x-ms-continuation"));
  EXPECT_EQ(call("POST", "/enrollmentGroups/query", R"({"query":"SELECT * FROM enrollmentGroups WHERE a=1"})").status,
            400);
}

TEST_F(ProvisioningRest, registrations_are_listed_by_group_read_and_forgotten) {
  ASSERT_EQ(call("PUT", "/enrollmentGroups/line", kKeyGroup).status, 200);
  put_registration("dev-1", "line");
  put_registration("dev-2", "line");
  const Answer listed = call("POST", "/registrations/line/query", R"({"query":"*"})");
  ASSERT_EQ(listed.status, 200) << listed.body;
  EXPECT_EQ(count(listed), 2U);
  EXPECT_EQ(listed.headers.at("x-ms-item-type"), "DeviceRegistration");
  EXPECT_EQ(call("POST", "/registrations/nobody/query", R"({"query":"*"})").status, 404);
  const Answer one = call("GET", "/registrations/DEV-1");
  EXPECT_EQ(text_at(one, "deviceId"), "dev-1");
  EXPECT_EQ(text_at(one, "assignedHub"), "hub.test");
  EXPECT_EQ(call("DELETE", "/registrations/dev-1", {}, "If-Match: \"AAAAAAAAAAI=\"\r\n").status, 412);
  EXPECT_EQ(call("DELETE", "/registrations/dev-1").status, 204);
  EXPECT_EQ(call("DELETE", "/registrations/dev-1").status, 404);
}

TEST_F(ProvisioningRest, a_bulk_call_does_what_it_can_and_names_the_rest) {
  const std::string one = R"({"registrationId":"dev-1","attestation":{"type":"symmetricKey"}})";
  const std::string two = R"({"registrationId":"dev-2","attestation":{"type":"symmetricKey"}})";
  const std::string bad = R"({"registrationId":"dev-3","attestation":{"type":"tpm"}})";
  const Answer created =
      call("POST", "/enrollments/", R"({"mode":"create","enrollments":[)" + one + "," + bad + "," + two + "]}");
  ASSERT_EQ(created.status, 200) << created.body;
  EXPECT_FALSE(object(created).at("isSuccessful").get_bool());
  ASSERT_EQ(object(created).at("errors").get_array().size(), 1U);
  EXPECT_EQ(object(created).at("errors").at(0).at("registrationId").get_string(), "dev-3");
  EXPECT_EQ(call("GET", "/enrollments/dev-2").status, 200);
  const Answer stale =
      call("POST", "/enrollments",
           R"({"mode":"updateIfMatchETag","enrollments":[{"registrationId":"dev-1","etag":"AAAAAAAAAAk=",)"
           R"("attestation":{"type":"symmetricKey"}}]})");
  EXPECT_EQ(object(stale).at("errors").at(0).at("errorCode").get_int64(), 412001);
  const Answer removed = call("POST", "/enrollments", R"({"mode":"delete","enrollments":[)" + one + "," + two + "]}");
  EXPECT_TRUE(object(removed).at("isSuccessful").get_bool()) << removed.body;
  EXPECT_EQ(call("GET", "/enrollments/dev-1").status, 404);
  EXPECT_EQ(call("POST", "/enrollments", R"({"mode":"shout","enrollments":[{}]})").status, 400);
  EXPECT_EQ(call("POST", "/enrollments", R"({"mode":"create","enrollments":[]})").status, 400);
}

TEST_F(ProvisioningRest, readers_see_no_credentials_and_versions_count) {
  ASSERT_EQ(call("PUT", "/enrollmentGroups/line", kKeyGroup).status, 200);
  token_ = rig_.token(Role::reader, "reader");
  EXPECT_EQ(call("GET", "/enrollmentGroups/line").status, 200);
  EXPECT_EQ(call("POST", "/enrollmentGroups/line/attestationmechanism").status, 403);
  EXPECT_EQ(call("DELETE", "/enrollmentGroups/line").status, 403);
  const Answer old = client_.send(request_text("GET", "/enrollmentGroups/line?api-version=2017-11-15", token_));
  EXPECT_EQ(old.status, 400);
}

TEST_F(ProvisioningRest, changes_leave_a_trail_without_secrets) {
  ASSERT_EQ(call("PUT", "/enrollmentGroups/line", kKeyGroup).status, 200);
  ASSERT_EQ(call("DELETE", "/enrollmentGroups/line").status, 204);
  ASSERT_TRUE(rig_.store->read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto events, records.access().list_audit(0, 10));
    EXPECT_EQ(events.size(), 2U);
    EXPECT_EQ(events.at(0).action, "enrollment.removed");
    EXPECT_EQ(events.at(1).action, "enrollment.created");
    EXPECT_EQ(events.at(1).subject, "line");
    EXPECT_EQ(events.at(1).details, "");
    return {};
  }));
}

}  // namespace
}  // namespace godwit::api
