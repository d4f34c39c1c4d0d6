// The hub's registry surface over a real connection, with the hub's own registry and a store.
#include "server/api/iothub/shapes.hpp"
#include "server/api/iothub/test_hub_api.hpp"

namespace godwit::api {
namespace {

using IotHub = HubApiTest;

TEST_F(IotHub, creates_reads_changes_and_removes_an_identity) {
  const Answer created = call(
      "PUT", "/devices/dev1",
      R"({"deviceId":"dev1","status":"enabled","authentication":{"type":"sas","symmetricKey":{"primaryKey":"","secondaryKey":""}}})");
  ASSERT_EQ(created.status, 200) << created.body;
  const json::Object body = object(created);
  EXPECT_EQ(*json::text_or_nothing(body, "deviceId"), "dev1");
  EXPECT_EQ(*json::text_or_nothing(body, "connectionState"), "Disconnected");
  EXPECT_EQ(*json::text_or_nothing(body, "etag"), "AAAAAAAAAAE=");
  EXPECT_EQ(created.headers.at("etag"), "\"AAAAAAAAAAE=\"");
  const json::Object& keys = body.at("authentication").at("symmetricKey").get_object();
  const std::string primary = *json::text_or_nothing(keys, "primaryKey");
  EXPECT_GE(base64_decode(primary)->size(), 16U);

  EXPECT_EQ(object(call("GET", "/devices/dev1")), body);
  const Answer again = call("PUT", "/devices/dev1", R"({"deviceId":"dev1"})");
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(error_word(again), "ErrorCode:DeviceAlreadyExists");

  const Answer disabled =
      call("PUT", "/devices/dev1", R"({"deviceId":"dev1","status":"disabled"})", "If-Match: \"AAAAAAAAAAE=\"\r\n");
  ASSERT_EQ(disabled.status, 200) << disabled.body;
  EXPECT_EQ(*json::text_or_nothing(object(disabled), "status"), "disabled");
  EXPECT_EQ(object(disabled).at("authentication").at("symmetricKey").at("primaryKey").get_string(), primary)
      << "keys stay unless others are given";
  EXPECT_EQ(call("PUT", "/devices/dev1", "{}", "If-Match: \"AAAAAAAAAAE=\"\r\n").status, 412);
  EXPECT_EQ(call("DELETE", "/devices/dev1", {}, "If-Match: \"AAAAAAAAAAE=\"\r\n").status, 412);
  EXPECT_EQ(call("DELETE", "/devices/dev1", {}, "If-Match: *\r\n").status, 204);
  const Answer gone = call("GET", "/devices/dev1");
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(error_word(gone), "ErrorCode:DeviceNotFound");
}

TEST_F(IotHub, a_given_key_is_kept_and_a_bad_body_stores_nothing) {
  const std::string key = base64_encode("0123456789abcdef0123456789abcdef");
  const Answer created =
      call("PUT", "/devices/dev1", R"({"authentication":{"symmetricKey":{"primaryKey":")" + key + R"("}}})");
  EXPECT_EQ(object(created).at("authentication").at("symmetricKey").at("primaryKey").get_string(), key);
  for (const char* body :
       {"{", "[]", R"({"deviceId":"other"})", R"({"status":"asleep"})", R"({"authentication":{"type":"selfSigned"}})",
        R"({"authentication":{"symmetricKey":{"primaryKey":"c2hvcnQ="}}})",
        R"({"authentication":{"symmetricKey":{"primaryKey":"!!"}}})", R"({"capabilities":{"iotEdge":true}})"}) {
    const Answer refused = call("PUT", "/devices/dev2", body);
    EXPECT_EQ(refused.status, 400) << body;
    EXPECT_EQ(error_word(refused), "ErrorCode:ArgumentInvalid") << body;
  }
  EXPECT_EQ(call("PUT", "/devices/a%20b", "{}").status, 400) << "a space is not part of a device id";
  EXPECT_EQ(call("GET", "/devices/dev2").status, 404);
}

TEST_F(IotHub, lists_in_pages_without_an_empty_continuation) {
  for (const char* id : {"c", "a", "b"}) ASSERT_EQ(call("PUT", std::string("/devices/") + id, "{}").status, 200);
  const Answer all = call("GET", "/devices/");
  EXPECT_EQ(json::parse(all.body)->get_array().size(), 3U);
  EXPECT_FALSE(all.headers.contains("x-ms-continuation"));
  const Answer first = call("GET", "/devices?top=2");
  EXPECT_EQ(json::parse(first.body)->get_array().size(), 2U);
  const Answer second =
      call("GET", "/devices?top=2", {}, "x-ms-continuation: " + first.headers.at("x-ms-continuation") + "\r\n");
  ASSERT_EQ(json::parse(second.body)->get_array().size(), 1U);
  EXPECT_EQ(json::parse(second.body)->get_array()[0].at("deviceId").get_string(), "c");
  EXPECT_FALSE(second.headers.contains("x-ms-continuation"));
  EXPECT_EQ(call("GET", "/devices?top=0").status, 400);
  EXPECT_EQ(call("GET", "/devices?top=1001").status, 400);

  ASSERT_EQ(call("PUT", "/devices/c", R"({"status":"disabled"})", "If-Match: \"*\"\r\n").status, 200);
  EXPECT_EQ(call("GET", "/statistics/devices").body,
            R"({"totalDeviceCount":3,"enabledDeviceCount":2,"disabledDeviceCount":1})");
}

TEST_F(IotHub, queries_come_in_pages_with_their_type_and_no_empty_continuation) {
  for (const char* id : {"c", "a", "b"}) ASSERT_EQ(call("PUT", std::string("/devices/") + id, "{}").status, 200);
  ASSERT_EQ(call("PATCH", "/twins/b", R"({"tags":{"ADUGroup":"g"}})").status, 200);
  const std::string all = R"({"query":"select  *  FROM Devices"})";
  const Answer first = call("POST", "/devices/query", all, "x-ms-max-item-count: 2\r\n");
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.headers.at("x-ms-item-type"), "Twin");
  EXPECT_EQ(json::parse(first.body)->get_array().size(), 2U);
  const std::string go_on = "x-ms-continuation: " + first.headers.at("x-ms-continuation") + "\r\n";
  const Answer second = call("POST", "/devices/query", all, go_on);
  ASSERT_EQ(json::parse(second.body)->get_array().size(), 1U);
  EXPECT_EQ(json::parse(second.body)->get_array()[0].at("deviceId").get_string(), "c");
  EXPECT_FALSE(second.headers.contains("x-ms-continuation"));

  const Answer rows =
      call("POST", "/devices/query", R"({"query":"SELECT deviceId AS id FROM devices WHERE tags.ADUGroup = 'g'"})");
  EXPECT_EQ(rows.headers.at("x-ms-item-type"), "Raw");
  EXPECT_EQ(rows.body, R"([{"id":"b"}])");
  EXPECT_EQ(call("POST", "/devices/query", R"({"query":"SELECT COUNT() AS c FROM devices"})").body, R"([{"c":3}])");
  EXPECT_EQ(call("POST", "/devices/query", R"({"query":"SELECT * FROM devices.jobs"})").headers.at("x-ms-item-type"),
            "DeviceJob");

  for (const auto& [body, fields] :
       {std::pair{R"({"query":"SELECT * FROM devices WHERE tags.a == 1"})", ""}, std::pair{R"({"query":1})", ""},
        std::pair{"{}", ""}, std::pair{R"({"query":"SELECT deviceId FROM devices"})", go_on.c_str()},
        std::pair{R"({"query":"SELECT * FROM devices"})", "x-ms-max-item-count: 0\r\n"},
        std::pair{R"({"query":"SELECT * FROM devices"})", "x-ms-max-item-count: 1001\r\n"}}) {
    const Answer refused = call("POST", "/devices/query", body, fields);
    EXPECT_EQ(refused.status, 400) << body;
    EXPECT_EQ(error_word(refused), "ErrorCode:ArgumentInvalid") << body;
  }
  const Answer sentence = call("POST", "/devices/query", R"({"query":"SELECT * FROM devices WHERE tags.a == 1"})");
  EXPECT_NE(sentence.body.find("at position 36: expected an operator"), std::string::npos) << sentence.body;
}

TEST_F(IotHub, more_wide_queries_than_run_at_a_time_are_asked_to_come_again) {
  const iothub::WideQueries::Turn one(*rig_.services->wide_queries, true);
  const iothub::WideQueries::Turn two(*rig_.services->wide_queries, true);
  const Answer refused = call("POST", "/devices/query", R"({"query":"SELECT COUNT() FROM devices"})");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(error_word(refused), "ErrorCode:ThrottlingException");
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  EXPECT_EQ(call("POST", "/devices/query", R"({"query":"SELECT * FROM devices"})").status, 200);
}

TEST_F(IotHub, twins_merge_replace_and_respect_the_etag) {
  ASSERT_EQ(call("PUT", "/devices/dev1", "{}").status, 200);
  const Answer patched = call("PATCH", "/twins/dev1",
                              R"({"tags":{"ADUGroup":"g1","site":"x"},"properties":{"desired":{"a":{"b":1},"c":2}}})");
  ASSERT_EQ(patched.status, 200) << patched.body;
  const json::Object twin = object(patched);
  EXPECT_EQ(twin.at("tags").at("ADUGroup").get_string(), "g1");
  EXPECT_EQ(*json::integer_or_nothing(twin.at("properties").at("desired").get_object(), "$version"), 2);
  EXPECT_TRUE(twin.at("properties").at("desired").get_object().contains("$metadata"));
  EXPECT_TRUE(twin.at("properties").at("reported").get_object().contains("$version"));
  const std::string etag = *json::text_or_nothing(twin, "etag");
  EXPECT_EQ(patched.headers.at("etag"), "\"" + etag + "\"");
  ASSERT_EQ(pushed_.size(), 1U);

  EXPECT_EQ(call("PATCH", "/twins/dev1", R"({"tags":{"site":null}})", "If-Match: \"" + etag + "\"\r\n").status, 200);
  const Answer stale = call("PATCH", "/twins/dev1", R"({"tags":{"site":"y"}})", "If-Match: \"" + etag + "\"\r\n");
  EXPECT_EQ(stale.status, 412);
  EXPECT_EQ(error_word(stale), "ErrorCode:PreconditionFailed");
  EXPECT_EQ(call("PATCH", "/twins/dev1", R"({"tags":{"site":"z"}})", "If-Match: not-ours\r\n").status, 412);
  EXPECT_FALSE(object(call("GET", "/twins/dev1")).at("tags").get_object().contains("site"));

  const Answer replaced = call("PUT", "/twins/dev1",
                               R"({"deviceId":"dev1","properties":{"desired":{"only":true},"reported":{"ignored":1}}})",
                               "If-Match: \"*\"\r\n");
  ASSERT_EQ(replaced.status, 200) << replaced.body;
  EXPECT_FALSE(object(replaced).at("properties").at("desired").get_object().contains("a"));
  EXPECT_FALSE(object(replaced).at("properties").at("reported").get_object().contains("ignored"));
}

TEST_F(IotHub, bad_twin_bodies_are_the_caller_s_fault_and_change_nothing) {
  ASSERT_EQ(call("PUT", "/devices/dev1", "{}").status, 200);
  const json::Object before = object(call("GET", "/twins/dev1"));
  for (const std::string& body :
       {std::string("{}"), std::string("[]"), std::string(R"({"tags":null})"),
        std::string(R"({"properties":{"desired":[]}})"), std::string(R"({"properties":{"reported":{"a":1}}})"),
        std::string(R"({"tags":{"a.b":1}})"),
        R"({"properties":{"desired":{"a":")" + std::string(4097, 'x') + R"("}}})"}) {
    const Answer refused = call("PATCH", "/twins/dev1", body);
    EXPECT_EQ(refused.status, 400) << body.substr(0, 80) << refused.body;
  }
  EXPECT_EQ(object(call("GET", "/twins/dev1")), before);
  EXPECT_EQ(call("PATCH", "/twins/nobody", R"({"tags":{}})").status, 404);
}

TEST_F(IotHub, modules_are_identities_under_their_device) {
  EXPECT_EQ(call("PUT", "/devices/dev1/modules/m1", "{}").status, 404);
  ASSERT_EQ(call("PUT", "/devices/dev1", "{}").status, 200);
  const Answer created =
      call("PUT", "/devices/dev1/modules/m1",
           R"({"moduleId":"m1","deviceId":"dev1","managedBy":"us","authentication":{"type":"sas"}})");
  ASSERT_EQ(created.status, 200) << created.body;
  EXPECT_EQ(*json::text_or_nothing(object(created), "moduleId"), "m1");
  EXPECT_EQ(*json::text_or_nothing(object(created), "deviceId"), "dev1");
  EXPECT_EQ(*json::text_or_nothing(object(created), "managedBy"), "us");
  EXPECT_EQ(call("PUT", "/devices/dev1/modules/m1", "{}").status, 409);
  EXPECT_EQ(call("PUT", "/devices/dev1/modules/m2", R"({"moduleId":"other"})").status, 400);
  EXPECT_EQ(json::parse(call("GET", "/devices/dev1/modules").body)->get_array().size(), 1U);
  EXPECT_EQ(json::parse(call("GET", "/devices").body)->get_array().size(), 1U);
  const Answer patched = call("PATCH", "/twins/dev1/modules/m1", R"({"properties":{"desired":{"a":1}}})");
  ASSERT_EQ(patched.status, 200) << patched.body;
  EXPECT_EQ(*json::text_or_nothing(object(patched), "moduleId"), "m1");
  EXPECT_FALSE(object(call("GET", "/twins/dev1")).at("properties").at("desired").get_object().contains("a"));
  EXPECT_EQ(*json::integer_or_nothing(object(call("GET", "/statistics/devices")), "totalDeviceCount"), 1);
  EXPECT_EQ(*json::integer_or_nothing(object(call("GET", "/statistics/service")), "connectedDeviceCount"), 0);
  EXPECT_EQ(call("DELETE", "/devices/dev1", {}, "If-Match: *\r\n").status, 204);
  EXPECT_EQ(call("GET", "/twins/dev1/modules/m1").status, 404);
}

TEST_F(IotHub, an_identity_may_prove_itself_by_certificate) {
  const std::string thumbprint(40, 'A');
  const Answer created = call("PUT", "/devices/dev1",
                              R"({"authentication":{"type":"selfSigned","x509Thumbprint":{"primaryThumbprint":")" +
                                  thumbprint + R"(","secondaryThumbprint":null}}})");
  ASSERT_EQ(created.status, 200) << created.body;
  const json::Object authentication = object(created).at("authentication").get_object();
  EXPECT_EQ(*json::text_or_nothing(authentication, "type"), "selfSigned");
  EXPECT_EQ(authentication.at("x509Thumbprint").at("primaryThumbprint").get_string(), std::string(40, 'a'));
  EXPECT_TRUE(authentication.at("symmetricKey").at("primaryKey").is_null());
  // What an update leaves out of the proof stays.
  const Answer disabled = call("PUT", "/devices/dev1", R"({"status":"disabled"})", "If-Match: *\r\n");
  ASSERT_EQ(disabled.status, 200) << disabled.body;
  EXPECT_EQ(*json::text_or_nothing(object(disabled).at("authentication").get_object(), "type"), "selfSigned");
  EXPECT_NE(*json::text_or_nothing(object(disabled), "statusUpdatedTime"), "0001-01-01T00:00:00Z");
  EXPECT_EQ(call("PUT", "/devices/dev2", R"({"authentication":{"type":"certificateAuthority"}})").status, 200);
  for (const char* body : {R"({"authentication":{"type":"none"}})", R"({"authentication":{"type":"selfSigned"}})",
                           R"({"authentication":{"type":"selfSigned","x509Thumbprint":{"primaryThumbprint":"12"}}})"})
    EXPECT_EQ(call("PUT", "/devices/dev3", body).status, 400) << body;
}

TEST_F(IotHub, changes_leave_an_audit_trail_with_the_caller) {
  ASSERT_EQ(call("PUT", "/devices/dev1", "{}").status, 200);
  ASSERT_EQ(call("PATCH", "/twins/dev1", R"({"tags":{"ADUGroup":"g"}})").status, 200);
  ASSERT_EQ(call("DELETE", "/devices/dev1").status, 204);
  const auto events = audit_trail();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].action, "device.removed");
  EXPECT_EQ(events[1].action, "twin.changed");
  EXPECT_EQ(events[2].action, "device.created");
  EXPECT_EQ(events[2].actor, "test");
  EXPECT_EQ(events[2].subject, "dev1");
}

TEST(IotHubEtag, is_the_big_endian_number_in_base64) {
  EXPECT_EQ(iothub::etag_text(1), "AAAAAAAAAAE=");
  Request request;
  request.headers["if-match"] = "W/\"AAAAAAAAAQA=\"";
  EXPECT_EQ(**iothub::if_match(request), 256U);
  request.headers["if-match"] = "\"*\"";
  EXPECT_FALSE(iothub::if_match(request)->has_value());
}

}  // namespace
}  // namespace godwit::api
