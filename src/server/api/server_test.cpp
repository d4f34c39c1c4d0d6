// The rim as a client sees it: one real TLS connection, real sockets, a few handlers of the test's own.
#include <future>

#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

std::promise<void>* g_entered = nullptr;  // set by the tests that need a handler to stay inside
std::shared_future<void> g_gate;

Result<Reply> echo(const Request& request, Services&) {
  json::Object body;
  body["caller"] = request.caller;
  body["bytes"] = request.body.size();
  body["body"] = request.body.substr(0, 100);
  body["authorization"] = request.header("authorization").value_or("none");
  return Reply::json(std::move(body));
}
Result<Reply> failing(const Request& request, Services&) {
  if (request.query_value("throw")) throw std::runtime_error("a library threw");
  return fail(Code::conflict, "deployment 'a' exists with other content");
}
Result<Reply> split_header(const Request&, Services&) {
  Reply reply{.status = 200};
  reply.headers.emplace_back("X-Value", "a\r\nX-Injected: 1");
  return reply;
}
Result<Reply> wait_inside(const Request&, Services&) {
  g_entered->set_value();
  g_gate.wait();
  return Reply{.status = 200, .body = "done"};
}
Result<Reply> large(const Request&, Services&) { return Reply{.status = 200, .body = std::string(3'000'000, 'x')}; }

Router test_router() {
  Router router;
  router.add({
      {Method::get, "/healthz", Permission::none, echo},
      {Method::post, "/deviceUpdate/{instanceId}/updates:import", Permission::updates_write, echo},
      {Method::get, "/deviceUpdate/{instanceId}/updates", Permission::updates_read, echo},
      {Method::get, "/deviceUpdate/{instanceId}/failing", Permission::updates_read, failing},
      {Method::get, "/devices/{deviceId}", Permission::hub_read, failing},
      {Method::get, "/split", Permission::none, split_header},
      {Method::get, "/wait", Permission::none, wait_inside},
      {Method::get, "/large", Permission::none, large},
  });
  router.add_stream(Method::get, "/rootkeys/{file}", Permission::none, Stream::root_key_package);
  return router;
}

json::Object body_of(const Answer& answer) { return json::parse_object(answer.body).value_or(json::Object{}); }

TEST(Server, keeps_the_connection_and_answers_pipelined_requests_in_order) {
  TestRig rig(test_router());
  TestClient client(rig);
  std::string three =
      request_text("GET", "/healthz") + request_text("GET", "/nothing") + request_text("GET", "/healthz");
  const Answer first = client.send(three);
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.headers.at("connection"), "keep-alive");
  EXPECT_EQ(client.read().status, 404);
  EXPECT_EQ(client.read().status, 200);
  EXPECT_EQ(client.send(request_text("GET", "/healthz")).status, 200);
  EXPECT_EQ(client.unread(), "");
}

TEST(Server, two_thousand_pipelined_requests_do_not_grow_the_stack) {
  TestRig rig(test_router());
  TestClient client(rig);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += request_text("GET", "/nothing");
  std::thread writer([&] { client.peer.write(many); });
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(client.read().status, 404) << i;
  writer.join();
}

TEST(Server, a_caller_needs_a_token_with_the_permission_and_the_right_version) {
  TestRig rig(test_router());
  const std::string admin = rig.token(Role::administrator, "admin");
  const std::string reader = rig.token(Role::reader, "reader");
  TestClient client(rig);
  const char* import = "/deviceUpdate/main/updates:import?api-version=2022-10-01";
  const Answer none = client.send(request_text("POST", import));
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(none.headers.at("www-authenticate"), "Bearer realm=\"godwit\"");
  EXPECT_EQ(client.send(request_text("POST", import, "gwt_wrong")).status, 401);
  const Answer forbidden = client.send(request_text("POST", import, reader));
  EXPECT_EQ(forbidden.status, 403);
  EXPECT_NE(forbidden.body.find("updates/write"), std::string::npos);
  for (int i = 0; i < 2; ++i) {  // from the store, then from memory
    const Answer allowed = client.send(request_text("POST", import, admin, "[1]"));
    ASSERT_EQ(allowed.status, 200);
    EXPECT_EQ(*json::text_or_nothing(body_of(allowed), "caller"), "admin");
    EXPECT_EQ(*json::text_or_nothing(body_of(allowed), "body"), "[1]");
    EXPECT_EQ(*json::text_or_nothing(body_of(allowed), "authorization"), "none") << "handlers never see the token";
  }
  EXPECT_EQ(client.send(request_text("GET", "/deviceUpdate/main/updates", admin)).status, 400);
  EXPECT_EQ(client.send(request_text("GET", "/deviceUpdate/main/updates?api-version=1999", admin)).status, 400);
  EXPECT_EQ(client.send(request_text("GET", "/deviceUpdate/other/updates?api-version=2022-10-01", admin)).status, 404);
  EXPECT_EQ(client.send(request_text("GET", "/deviceupdate/main/UPDATES?api-version=2022-10-01", admin)).status, 200);
}

TEST(Server, a_body_that_is_not_json_by_its_own_word_is_refused) {
  TestRig rig(test_router());
  const std::string token = rig.token(Role::administrator);
  const auto import_as = [&](const std::string& type) {
    TestClient client(rig);  // an unread body ends the connection
    return client.send(request_text("POST", "/deviceUpdate/main/updates:import?api-version=2022-10-01", token, "[1]",
                                    type.empty() ? "" : "Content-Type: " + type + "\r\n"));
  };
  for (const char* type : {"", "application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"})
    EXPECT_EQ(import_as(type).status, 200) << type;
  for (const char* type :
       {"text/plain", "application/x-www-form-urlencoded", "json", "application/jsonp", "text/a+json"})
    EXPECT_EQ(import_as(type).status, 415) << type;
  EXPECT_NE(import_as("text/plain").body.find("'text/plain'"), std::string::npos);
}

TEST(Server, errors_have_the_shape_of_their_family) {
  TestRig rig(test_router());
  const std::string token = rig.token(Role::administrator);
  TestClient client(rig);
  const Answer update =
      client.send(request_text("GET", "/deviceUpdate/main/failing?api-version=2022-10-01", token, {},
                               "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"));
  EXPECT_EQ(update.status, 409);
  const json::Object body = body_of(update);
  const json::Object* error = json::object_or_null(body, "error");
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(*json::text_or_nothing(*error, "code"), "Conflict");
  EXPECT_EQ(*json::text_or_nothing(*error, "message"), "deployment 'a' exists with other content");
  EXPECT_EQ(*json::integer_or_nothing(body, "status"), 409);
  EXPECT_EQ(*json::text_or_nothing(body, "title"), "Conflict");
  EXPECT_TRUE(json::text_or_nothing(body, "traceId")->starts_with("00-0af7651916cd43dd8448eb211c80319c-"));

  const Answer hub = client.send(request_text("GET", "/devices/a?api-version=2021-04-12", token));
  EXPECT_EQ(hub.status, 409);
  EXPECT_TRUE(json::text_or_nothing(body_of(hub), "Message")->starts_with("ErrorCode:DeviceAlreadyExists;"))
      << hub.body;
  EXPECT_TRUE(json::text_or_nothing(body_of(hub), "ExceptionMessage")->starts_with("Tracking ID:")) << hub.body;

  EXPECT_EQ(client.send(request_text("GET", "/deviceUpdate/main/failing?api-version=2022-10-01&throw=1", token)).status,
            500);
}

TEST(Server, a_wrong_method_names_the_right_ones) {
  TestRig rig(test_router());
  TestClient client(rig);
  const Answer answer = client.send(request_text("DELETE", "/healthz"));
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.at("allow"), "GET");
}

TEST(Server, echoes_the_client_request_id_only_when_asked) {
  TestRig rig(test_router());
  TestClient client(rig);
  EXPECT_EQ(client
                .send(request_text("GET", "/healthz", {}, {},
                                   "x-ms-client-request-id: id-1\r\nx-ms-return-client-request-id: true\r\n"))
                .headers.at("x-ms-client-request-id"),
            "id-1");
  EXPECT_FALSE(client.send(request_text("GET", "/healthz", {}, {}, "x-ms-client-request-id: id-1\r\n"))
                   .headers.contains("x-ms-client-request-id"));
}

TEST(Server, a_value_cannot_begin_a_header_of_its_own) {
  TestRig rig(test_router());
  TestClient client(rig);
  const Answer answer = client.send(request_text("GET", "/split"));
  EXPECT_FALSE(answer.headers.contains("x-injected"));
  EXPECT_EQ(answer.headers.at("x-value"), "a  X-Injected: 1");
}

TEST(Server, head_has_the_length_and_no_body) {
  TestRig rig(test_router());
  TestClient client(rig);
  const Answer answer = client.send(request_text("HEAD", "/large"), true);
  EXPECT_EQ(answer.headers.at("content-length"), "3000000");
  EXPECT_EQ(client.send(request_text("GET", "/healthz")).status, 200) << "nothing of a body may be in between";
  EXPECT_EQ(client.send(request_text("GET", "/large")).body.size(), 3'000'000U);
}

TEST(Server, asks_for_an_expected_body_and_reads_a_chunked_one) {
  TestRig rig(test_router());
  const std::string token = rig.token(Role::administrator);
  TestClient client(rig);
  const char* import = "/deviceUpdate/main/updates:import?api-version=2022-10-01";
  EXPECT_EQ(
      client.send(request_text("POST", import, token, {}, "Content-Length: 5\r\nExpect: 100-continue\r\n")).status,
      100);
  EXPECT_EQ(*json::text_or_nothing(body_of(client.send("hello")), "body"), "hello");
  const Answer chunked = client.send(request_text("POST", import, token, {}, "Transfer-Encoding: chunked\r\n") +
                                     "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(*json::text_or_nothing(body_of(chunked), "body"), "abcde");
  EXPECT_EQ(client.send(request_text("GET", "/healthz")).status, 200);
}

TEST(Server, a_refused_expectation_is_answered_without_the_body) {
  TestRig rig(test_router());
  TestClient client(rig);
  const Answer answer = client.send(request_text("POST", "/deviceUpdate/main/updates:import?api-version=2022-10-01",
                                                 "wrong", {}, "Content-Length: 5\r\nExpect: 100-continue\r\n"));
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_TRUE(client.is_ended());
}

TEST(Server, a_body_over_the_limit_is_refused_as_soon_as_it_is_known) {
  TestRig rig(test_router(), ServerLimits{.body_bytes = 1000});
  const std::string token = rig.token(Role::administrator);
  const char* import = "/deviceUpdate/main/updates:import?api-version=2022-10-01";
  TestClient announced(rig);
  EXPECT_EQ(announced.send(request_text("POST", import, token, {}, "Content-Length: 1001\r\n")).status, 413);
  EXPECT_TRUE(announced.is_ended());
  TestClient chunked(rig);
  EXPECT_EQ(chunked.send(request_text("POST", import, token, {}, "Transfer-Encoding: chunked\r\n") + "3e9\r\n").status,
            413);
  TestClient fitting(rig);
  EXPECT_EQ(fitting.send(request_text("POST", import, token, std::string(1000, 'a'))).status, 200);
}

TEST(Server, the_answer_survives_a_client_that_goes_on_sending) {
  TestRig rig(test_router());
  TestClient client(rig);
  std::thread writer([&] {
    client.peer.write(request_text("POST", "/deviceUpdate/main/updates:import?api-version=2022-10-01", "wrong",
                                   std::string(3'000'000, 'a')));
  });
  EXPECT_EQ(client.read().status, 401);
  writer.join();
}

TEST(Server, smuggling_shapes_end_the_connection_after_one_answer) {
  TestRig rig(test_router());
  for (const char* fields :
       {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: chunked, identity\r\n"}) {
    TestClient client(rig);
    const Answer answer = client.send(request_text("POST", "/healthz", {}, {}, fields) +
                                      "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_GE(answer.status, 400) << fields;
    EXPECT_EQ(answer.headers.at("connection"), "close");
    EXPECT_TRUE(client.is_ended()) << fields;
    EXPECT_EQ(client.unread(), "") << "the second request must not be answered: " << fields;
  }
}

TEST(Server, bad_targets_and_heads_are_refused_with_a_status) {
  TestRig rig(test_router());
  for (const char* target : {"/a%zz", "/../etc/passwd", "/download/%2e%2e/x", "/a%00", "/healthz?x=1&x=2"}) {
    TestClient client(rig);
    EXPECT_EQ(client.send(request_text("GET", target)).status, 400) << target;
  }
  TestClient big(rig);
  EXPECT_EQ(big.send("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(17000, 'a')).status, 431);
  EXPECT_TRUE(big.is_ended());
}

TEST(Server, slow_heads_slow_bodies_and_idle_connections_are_ended) {
  TestRig rig(test_router(), ServerLimits{.head_time = std::chrono::milliseconds(300),
                                          .idle_time = std::chrono::milliseconds(300),
                                          .body_time = std::chrono::milliseconds(300)});
  const std::string token = rig.token(Role::administrator);
  TestClient idle(rig);
  TestClient slow_head(rig);
  TestClient slow_body(rig);
  slow_body.peer.write(request_text("POST", "/deviceUpdate/main/updates:import?api-version=2022-10-01", token, {},
                                    "Content-Length: 500\r\n"));
  // One byte now and then must not keep the head alive.
  const std::string head = request_text("GET", "/healthz");
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < 8 && slow_head.peer.write(head.substr(i, 1)); ++i)
    if (slow_head.peer.wait_for_bytes(std::chrono::milliseconds(100))) break;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(790));
  EXPECT_TRUE(idle.is_ended());
  EXPECT_TRUE(slow_body.is_ended());
}

TEST(Server, connections_per_address_are_limited) {
  TestRig rig(test_router(), ServerLimits{.connections_per_address = 2});
  TestClient one(rig);
  TestClient two(rig);
  net::TestPeer three;
  EXPECT_FALSE(three.open(rig.server->port()));
  EXPECT_EQ(one.send(request_text("GET", "/healthz")).status, 200);
}

TEST(Server, a_full_queue_is_503_and_a_running_request_ends_before_the_server) {
  std::promise<void> gate;
  g_gate = gate.get_future().share();
  std::promise<void> entered[2];
  std::optional<TestRig> rig(std::in_place, test_router(), ServerLimits{}, never_called<hub::Registry>(), 0U);
  // A queue of length 0 takes nothing while no worker waits for it; with one place each of two workers takes one.
  TestClient none(*rig);
  const Answer busy = none.send(request_text("GET", "/wait"));
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(busy.headers.at("retry-after"), "1");
  rig.emplace(test_router(), ServerLimits{}, never_called<hub::Registry>(), 1U);
  g_entered = &entered[0];
  TestClient running(*rig);
  running.peer.write(request_text("GET", "/wait"));
  entered[0].get_future().wait();
  std::thread stopper([&] { rig->server->stop(std::chrono::seconds(5)); });
  gate.set_value();
  EXPECT_EQ(running.read().body, "done");
  EXPECT_TRUE(running.is_ended());
  stopper.join();
  EXPECT_EQ(rig->server->connections(), 0U);
}

TEST(Server, root_key_packages_are_public_and_nothing_else_is_in_that_folder) {
  TestRig rig(test_router());
  TestClient client(rig);
  const Answer found = client.send(request_text("GET", "/rootkeys/rootkeypackage-1.json"));
  EXPECT_EQ(found.status, 200);
  EXPECT_EQ(found.body, "{\"root\":2}") << "a device that was told of an earlier one gets the newest";
  EXPECT_EQ(client.send(request_text("GET", "/rootkeys/rootkeypackage-2.json")).body, "{\"root\":2}");
  for (const char* name : {"rootkeypackage-3.json", "rootkeypackage-0.json", "rootkeypackage--1.json",
                           "rootkeypackage-1", "rootkeypackage-.json", "rootkeypackage-99999999999999999999.json"})
    EXPECT_EQ(client.send(request_text("GET", std::string("/rootkeys/") + name)).status, 404) << name;
  EXPECT_EQ(client.send(request_text("GET", "/rootkeys/..%2Fkeys%2Froot-1.pem")).status, 404);
}

}  // namespace
}  // namespace godwit::api
