// Authorities of the hub over a real connection, with a store.
#include "core/trust/test_certificates.hpp"
#include "server/api/services.hpp"
#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

using trust::MadeCertificate;

Router certificate_router() {
  Router router;
  router.add(godwit_certificate_routes());
  return router;
}

constexpr std::time_t kDay = 24 * 3600;

class HubCertificates : public ::testing::Test {
 protected:
  HubCertificates() {
    rig_.services->recheck_certificates = [this] { ++rechecks_; };
  }
  Answer call(std::string_view method, const std::string& rest, const json::Object& body = {},
              std::string_view fields = {}) {
    const std::string text = body.empty() ? std::string{} : json::print(body);
    return client_.send(request_text(method, "/godwit/v1/main/hub/certificates" + rest, token_, text, fields));
  }
  static json::Object object(const Answer& answer) { return json::parse_object(answer.body).value_or(json::Object{}); }
  Answer add(const std::string& name, const std::string& pem) {
    return call("PUT", "/" + name, {{"certificate", pem}});
  }
  Answer set_list(const std::string& name, const std::string& pem) {
    return call("PUT", "/" + name + "/revocationList", {{"revocationList", pem}});
  }
  static std::time_t now() { return std::time(nullptr); }

  std::atomic<int> rechecks_{0};
  TestRig rig_{certificate_router()};
  std::string token_ = rig_.token(Role::hub_administrator);
  TestClient client_{rig_};
  MadeCertificate root_{{.common_name = "Root", .is_authority = true}};
  MadeCertificate device_{{.common_name = "dev-1"}, &root_};
};

TEST_F(HubCertificates, an_authority_is_added_listed_switched_and_removed) {
  const Answer added = add("plant", root_.pem());
  ASSERT_EQ(added.status, 201) << added.body;
  EXPECT_EQ(object(added).at("subject").get_string(), "CN=Root");
  EXPECT_EQ(object(added).at("sha256Thumbprint").get_string(), hex_encode(sha256(root_.der())));
  EXPECT_TRUE(object(added).at("isEnabled").get_bool());
  EXPECT_EQ(object(call("GET", "")).at("value").get_array().size(), 1U);
  EXPECT_EQ(object(call("GET", "/plant")).at("certificate").get_string(), root_.pem());
  EXPECT_EQ(add("plant", root_.pem()).status, 409);
  EXPECT_EQ(add("same-by-another-name", root_.pem()).status, 409);
  const Answer disabled = call("PATCH", "/plant", {{"isEnabled", false}}, "If-Match: \"AAAAAAAAAAE=\"\r\n");
  ASSERT_EQ(disabled.status, 200) << disabled.body;
  EXPECT_FALSE(object(disabled).at("isEnabled").get_bool());
  EXPECT_EQ(call("PATCH", "/plant", {{"isEnabled", true}}, "If-Match: \"AAAAAAAAAAE=\"\r\n").status, 412);
  EXPECT_EQ(call("PATCH", "/plant", {{"certificate", "x"}}).status, 400);
  EXPECT_EQ(call("DELETE", "/plant").status, 204);
  EXPECT_EQ(call("GET", "/plant").status, 404);
  EXPECT_EQ(rechecks_, 3) << "each change tries live connections again, and no refusal does";
}

TEST_F(HubCertificates, only_a_living_authority_is_taken) {
  EXPECT_EQ(add("device", device_.pem()).status, 400);
  EXPECT_EQ(add("nonsense", "hello").status, 400);
  EXPECT_EQ(add("two", root_.pem() + root_.pem()).status, 413);
  const MadeCertificate expired({.common_name = "Old", .is_authority = true, .not_after = now() - kDay});
  EXPECT_EQ(add("old", expired.pem()).status, 400);
  EXPECT_EQ(add("a%20b", root_.pem()).status, 400);
  EXPECT_EQ(call("PUT", "/plant", {{"isEnabled", true}}).status, 400);
  token_ = rig_.token(Role::reader, "reader");
  EXPECT_EQ(call("GET", "").status, 200);
  EXPECT_EQ(add("plant", root_.pem()).status, 403);  // last: the connection closes over the unread body
}

TEST_F(HubCertificates, a_revocation_list_is_checked_replaced_by_newer_ones_only_and_removed) {
  ASSERT_EQ(add("plant", root_.pem()).status, 201);
  const MadeCertificate other({.common_name = "Root", .is_authority = true});
  EXPECT_EQ(set_list("plant", other.revocation_list({}, now() - kDay, now() + kDay)).status, 400)
      << "not signed by this authority";
  EXPECT_EQ(set_list("plant", root_.revocation_list({}, now() - 3 * kDay, now() - kDay)).status, 400) << "expired";
  const Answer set = set_list("plant", root_.revocation_list({&device_}, now() - kDay, now() + kDay));
  ASSERT_EQ(set.status, 200) << set.body;
  EXPECT_EQ(object(set).at("revocationList").at("revoked").get_int64(), 1);
  EXPECT_TRUE(object(set).at("revocationList").get_object().contains("expires"));
  EXPECT_EQ(set_list("plant", root_.revocation_list({}, now() - 2 * kDay, now() + kDay)).status, 409) << "older";
  EXPECT_EQ(set_list("plant", root_.revocation_list({}, now() - 60, 0)).status, 200) << "newer, without an end";
  EXPECT_EQ(set_list("nobody", root_.revocation_list({}, now() - 60, 0)).status, 404);
  EXPECT_EQ(call("DELETE", "/plant/revocationList").status, 204);
  EXPECT_EQ(call("DELETE", "/plant/revocationList").status, 404);
  EXPECT_FALSE(object(call("GET", "/plant")).contains("revocationList"));
}

TEST_F(HubCertificates, an_authority_that_an_enrollment_names_stays) {
  ASSERT_EQ(add("plant", root_.pem()).status, 201);
  ASSERT_TRUE(rig_.store->write([](store::Records& records) {
    return records.provisioning().insert_enrollment({.kind = store::EnrollmentKind::group,
                                                     .id = "line",
                                                     .attestation = store::Attestation::authority_reference,
                                                     .primary_certificate = "plant"});
  }));
  const Answer refused = call("DELETE", "/plant");
  EXPECT_EQ(refused.status, 409);
  EXPECT_NE(refused.body.find("enrollment"), std::string::npos);
}

TEST_F(HubCertificates, what_devices_need_to_be_provisioned_is_told) {
  const Answer about = client_.send(request_text("GET", "/godwit/v1/main/hub/provisioning", token_));
  EXPECT_EQ(about.body, R"({"idScope":"0ne00000000","assignedHub":"hub.test"})");
}

}  // namespace
}  // namespace godwit::api
