// The content family through its route table, over a real store, real blobs, a real importer and a fake web.
#include "server/api/deviceupdate/updates_routes.hpp"

#include "server/api/router.hpp"
#include "server/api/test_rig.hpp"
#include "server/service/import/testing.hpp"

namespace godwit::api {
namespace {

using service::manifest_text;
using service::SampleUpdate;
using service::text_at;

class UpdateRoutes : public testing::Test {
 protected:
  UpdateRoutes()
      : services{.clock = rig.test.clock,
                 .log = rig.test.log,
                 .store = *rig.test.store,
                 .blobs = *rig.blobs,
                 .registry = never_called<hub::Registry>(),
                 .importer = *rig.importer,
                 .catalog = rig.catalog,
                 .inventory = never_called<service::Inventory>(),
                 .rollout = never_called<service::Rollout>(),
                 .urls = urls,
                 .hub_name = "hub.test",
                 .instance_id = "main"} {
    router.add(deviceupdate_updates_routes());
    router.add(godwit_routes());
  }

  /// As the rim does: target, router, handler; a failure becomes a reply by its code.
  Reply call(Method method, const std::string& target_text, const std::string& body = "",
             const std::map<std::string, std::string>& headers = {}) {
    const auto target = parse_target(target_text).value();
    const auto match = router.find(method, target);
    if (!match) {
      ADD_FAILURE() << "no route for " << target_text;
      return {};
    }
    const Request request{.method = method,
                          .path = target.path,
                          .parameters = match->parameters,
                          .query = target.query,
                          .headers = headers,
                          .body = body,
                          .caller = "tester"};
    auto reply = match->handler(request, services);
    return reply ? *std::move(reply) : Reply{.status = http_status(reply.error().code), .body = reply.error().message};
  }
  Reply get(const std::string& path, const std::map<std::string, std::string>& headers = {}) {
    return call(Method::get, "/deviceUpdate/main" + path, "", headers);
  }
  static json::Object object(const Reply& reply) { return json::parse_object(reply.body).value(); }
  static std::string values(const Reply& reply) { return json::print(*json::find(object(reply), "value")); }
  static std::string header(const Reply& reply, const std::string& name) {
    for (const auto& [key, value] : reply.headers)
      if (key == name) return value;
    return "";
  }
  /// Follows nextLink to the end; gives the sizes of the pages, "100+100+5".
  std::string pages(const std::string& path) {
    std::string sizes;
    for (std::string next = "/deviceUpdate/main" + path; !next.empty();) {
      const Reply reply = call(Method::get, next);
      EXPECT_EQ(reply.status, 200) << reply.body;
      if (reply.status != 200) return sizes;
      const auto answer = object(reply);
      sizes += (sizes.empty() ? "" : "+") + std::to_string(json::find(answer, "value")->get_array().size());
      next = text_at(answer, "nextLink");
    }
    return sizes;
  }
  /// So many updates, without their imports.
  void fill(std::size_t count, const std::function<UpdateId(std::size_t)>& id_of) {
    ASSERT_TRUE(rig.test.store->write([&](store::Records& records) -> Result<void> {
      for (std::size_t i = 0; i < count; ++i) {
        const UpdateId id = id_of(i);
        GODWIT_TRY_VOID(
            records.catalog().insert_update({.summary = {.id = id, .compatibility = {{{"model", id.str()}}}},
                                             .import_manifest = manifest_text({}),
                                             .scan_result = "NotScanned",
                                             .etag = "e"},
                                            {}));
      }
      return {};
    }));
  }
  /// Follows Operation-Location after the importer has worked.
  json::Object follow(const Reply& reply) {
    EXPECT_EQ(reply.status, 202) << reply.body;
    EXPECT_EQ(header(reply, "Retry-After"), "1");
    EXPECT_TRUE(rig.importer->work_off());
    return object(call(Method::get, header(reply, "Operation-Location")));
  }
  void import(const SampleUpdate& update) {
    rig.upload_files(update);
    const auto body = json::print(
        json::Value(json::Array{json::Object{{"importManifest", manifest_text(update)}, {"friendlyName", "Spring"}}}));
    EXPECT_EQ(text_at(follow(call(Method::post, "/godwit/v1/main/updates:import", body)), "status"), "Succeeded");
  }

  service::ImportRig rig;
  service::DownloadUrls urls{"https://localhost", Secret(std::string(32, 'k')), std::chrono::hours(2)};
  Services services;
  Router router;
  const std::string version = "/updates/providers/Contoso/names/Toaster/versions/1.2.0";
};

}  // namespace

TEST_F(UpdateRoutes, an_import_by_url_leads_to_an_update) {
  const std::string body = service::print_import_request({rig.publish({})});
  const Reply reply = call(Method::post, "/deviceUpdate/main/updates:import", body);
  const auto started = object(call(Method::get, header(reply, "Operation-Location")));
  EXPECT_EQ(text_at(started, "status"), "NotStarted");
  const auto operation = follow(reply);
  EXPECT_EQ(text_at(operation, "status"), "Succeeded") << json::print(operation);
  const auto update = object(call(Method::get, text_at(operation, "resourceLocation")));
  EXPECT_EQ(text_at(update, "manifestVersion"), "5.0");
  EXPECT_EQ(text_at(update, "friendlyName"), "Spring");
}

TEST_F(UpdateRoutes, a_failed_import_is_an_operation_with_its_codes) {
  auto item = rig.publish({});
  item.url += "-gone";
  const auto operation =
      follow(call(Method::post, "/deviceUpdate/main/updates:import", service::print_import_request({item})));
  EXPECT_EQ(text_at(operation, "status"), "Failed");
  EXPECT_EQ(service::codes_of(operation), "CannotProcessImportManifest/CannotDownload");
  EXPECT_EQ(json::find(operation, "resourceLocation"), nullptr);
}

TEST_F(UpdateRoutes, a_bad_direct_import_is_answered_at_once_in_both_readable_shapes) {
  const auto body = [](const SampleUpdate& update) {
    return json::print(json::Value(json::Array{json::Object{{"importManifest", manifest_text(update)}}}));
  };
  const Reply missing = call(Method::post, "/godwit/v1/main/updates:import", body({}));
  EXPECT_EQ(missing.status, 400);
  const auto problem = object(missing);
  EXPECT_EQ(service::codes_of(problem), "CannotProcessUpdateFile/ContentFileCannotDownload");
  EXPECT_EQ(json::integer_or_nothing(problem, "status"), 400);
  EXPECT_FALSE(text_at(problem, "traceId").empty());
  import({});
  const Reply twice = call(Method::post, "/godwit/v1/main/updates:import", body({}));
  EXPECT_EQ(twice.status, 409);
  EXPECT_EQ(service::codes_of(object(twice)), "UpdateAlreadyExists/");
  EXPECT_EQ(call(Method::post, "/godwit/v1/main/updates:import", "{}").status, 400);
  EXPECT_EQ(call(Method::post, "/godwit/v1/main/updates:import", "nonsense").status, 400);
}

TEST_F(UpdateRoutes, an_etag_saves_the_second_answer) {
  import({});
  const Reply first = get(version);
  const std::string etag = header(first, "ETag");
  EXPECT_EQ(etag, text_at(object(first), "etag"));
  const Reply again = get(version, {{"if-none-match", etag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
  EXPECT_EQ(get(version, {{"if-none-match", "\"other\""}}).status, 200);
}

TEST_F(UpdateRoutes, lists_search_and_filter) {
  import({});
  import({.name = "Motor", .version = "1.0", .is_deployable = false});
  EXPECT_EQ(json::find(object(get("/updates")), "value")->get_array().size(), 2U);
  EXPECT_EQ(json::find(object(get("/updates?search=toast")), "value")->get_array().size(), 1U);
  EXPECT_EQ(values(get("/updates?search=nothing")), "[]");
  EXPECT_EQ(json::find(object(get("/updates?filter=isDeployable%20eq%20false")), "value")->get_array().size(), 1U);
  EXPECT_EQ(get("/updates?filter=isDeployable%20eq%20'x'").status, 400);
  EXPECT_EQ(get("/updates?filter=name%20eq%20'x'").status, 400);
  EXPECT_EQ(values(get("/updates/providers")), R"(["Contoso"])");
  EXPECT_EQ(values(get("/updates/providers/Contoso/names")), R"(["Motor","Toaster"])");
  EXPECT_EQ(values(get("/updates/providers/Contoso/names/Motor/versions")), R"(["1.0"])");
  EXPECT_EQ(values(get("/updates/providers/Contoso/names/Motor/versions?filter=isDeployable%20eq%20true")), "[]");
  EXPECT_EQ(get("/updates/providers/Nobody/names").status, 404);
  EXPECT_EQ(get("/updates/providers/Contoso/names/Nothing/versions").status, 404);
}

TEST_F(UpdateRoutes, files_are_listed_by_id_and_shown) {
  import({});
  const auto ids = json::find(object(get(version + "/files")), "value")->get_array();
  ASSERT_EQ(ids.size(), 1U);
  const std::string id(ids[0].get_string().c_str());
  const Reply file = get(version + "/files/" + id);
  EXPECT_EQ(text_at(object(file), "fileName"), "app.bin");
  EXPECT_EQ(get(version + "/files/" + id, {{"if-none-match", header(file, "ETag")}}).status, 304);
  EXPECT_EQ(get(version + "/files/f0").status, 404);
  EXPECT_EQ(get("/updates/providers/Contoso/names/Toaster/versions/9.9/files").status, 404);
  EXPECT_EQ(get("/updates/providers/Contoso/names/Toaster/versions/new/files").status, 400);
}

TEST_F(UpdateRoutes, an_update_tells_who_signed_it) {
  import({});
  const std::string path = "/godwit/v1/main" + version + "/signatures";
  EXPECT_EQ(call(Method::get, path).status, 503) << "without a package nobody can be believed";
  trust::RootKeyPackage package = service::TestKeys::get().package();
  package.version = 7;
  const PublishedRootKeys published{.version = 7, .document = package.sign({&service::TestKeys::get().root}).value()};
  services.root_keys = &published;
  const auto answer = object(call(Method::get, path));
  EXPECT_EQ(json::integer_or_nothing(answer, "rootKeyPackageVersion"), 7);
  const auto& first = json::find(answer, "value")->get_array().at(0).get_object();
  EXPECT_EQ(text_at(first, "keyId"), "signing-1");
  EXPECT_TRUE(json::find(first, "isBelieved")->get_bool());
  EXPECT_EQ(call(Method::get, "/godwit/v1/main/updates/providers/Contoso/names/Toaster/versions/9.9/signatures").status,
            404);
}

TEST_F(UpdateRoutes, a_deletion_is_an_operation_that_is_not_listed) {
  import({});
  const auto operation = follow(call(Method::delete_, "/deviceUpdate/main" + version));
  EXPECT_EQ(text_at(operation, "status"), "Succeeded");
  EXPECT_EQ(json::find(operation, "resourceLocation"), nullptr);
  EXPECT_EQ(get(version).status, 404);
  EXPECT_EQ(call(Method::delete_, "/deviceUpdate/main" + version).status, 404);
  EXPECT_EQ(json::find(object(get("/updates/operations")), "value")->get_array().size(), 1U) << "the import";
}

TEST_F(UpdateRoutes, operations_are_filtered_and_cut_at_top) {
  import({});
  import({.version = "1.3"});
  EXPECT_EQ(json::find(object(get("/updates/operations?top=1")), "value")->get_array().size(), 1U);
  EXPECT_EQ(json::find(object(get("/updates/operations?top=1")), "nextLink"), nullptr);
  const std::string unfinished = "/updates/operations?filter=status%20eq%20'NotStarted'%20or%20status%20eq%20'Running'";
  EXPECT_EQ(values(get(unfinished)), "[]");
  EXPECT_EQ(get("/updates/operations?filter=status%20eq%20'Failed'").status, 400);
  EXPECT_EQ(get("/updates/operations?top=0").status, 400);
  EXPECT_EQ(get("/updates/operations?top=x").status, 400);
  EXPECT_EQ(get("/updates/operations/none").status, 404);
}

TEST_F(UpdateRoutes, every_list_comes_in_pages_of_a_hundred) {
  const auto id = [](std::string provider, std::string name, std::string version_text) {
    return UpdateId::parse(provider, name, version_text).value();
  };
  fill(205, [&](std::size_t i) { return id("Contoso", "Toaster", "1." + std::to_string(i)); });
  fill(101, [&](std::size_t i) { return id("Contoso", "Name" + std::to_string(i), "1.0"); });
  fill(100, [&](std::size_t i) { return id("P" + std::to_string(i), "Name", "1.0"); });
  EXPECT_EQ(pages("/updates"), "100+100+100+100+6");
  EXPECT_EQ(pages("/updates/providers"), "100+1");
  EXPECT_EQ(pages("/updates/providers/Contoso/names"), "100+2");
  EXPECT_EQ(pages("/updates/providers/Contoso/names/Toaster/versions"), "100+100+5");
  EXPECT_EQ(pages("/updates/providers/P7/names"), "1");
  EXPECT_EQ(get("/updates/providers?skiptoken=" + base64url_encode("Nobody")).status, 400);
  for (const char* bad : {"!", "%00", "AAAA%", "/w=="})
    EXPECT_EQ(get("/updates?skiptoken=" + percent_encode(bad)).status, 400) << bad;
}

TEST_F(UpdateRoutes, operations_come_in_pages_and_top_counts_over_them) {
  ASSERT_TRUE(rig.test.store->write([&](store::Records& records) -> Result<void> {
    for (int i = 0; i < 150; ++i)
      GODWIT_TRY_VOID(records.catalog().insert_operation({.id = random_guid(),
                                                          .status = store::OperationStatus::failed,
                                                          .etag = "e",
                                                          .created = rig.test.clock.now(),
                                                          .last_action = rig.test.clock.now()}));
    return {};
  }));
  EXPECT_EQ(pages("/updates/operations"), "100+50");
  EXPECT_EQ(pages("/updates/operations?top=7"), "7");
  EXPECT_EQ(pages("/updates/operations?top=100"), "100");
  EXPECT_EQ(pages("/updates/operations?top=120"), "100+20");
  EXPECT_EQ(pages("/updates/operations?top=1000"), "100+50");
  EXPECT_EQ(get("/updates/operations?top=-1").status, 400);
  EXPECT_EQ(get("/updates/operations?top=99999999999999999999999").status, 400);
}

TEST_F(UpdateRoutes, an_operation_has_an_etag_that_changes_with_it) {
  rig.upload_files({});
  const auto body = json::print(json::Value(json::Array{json::Object{{"importManifest", manifest_text({})}}}));
  const std::string location = header(call(Method::post, "/godwit/v1/main/updates:import", body), "Operation-Location");
  const Reply waiting = call(Method::get, location);
  EXPECT_EQ(header(waiting, "Retry-After"), "1");
  const std::string etag = header(waiting, "ETag");
  EXPECT_EQ(call(Method::get, location, "", {{"if-none-match", etag}}).status, 304);
  ASSERT_TRUE(rig.importer->work_off());
  const Reply done = call(Method::get, location, "", {{"if-none-match", etag}});
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(text_at(object(done), "status"), "Succeeded");
  EXPECT_EQ(header(done, "Retry-After"), "");
}

TEST_F(UpdateRoutes, malformed_hostile_and_huge_input_is_answered_with_its_code_and_stores_nothing) {
  struct Row {
    Method method;
    std::string target;
    std::string body;
    int status;
  };
  const std::string deep(5000, '[');
  const std::string url_item = R"({"importManifest":{"url":"https://h/m","sizeInBytes":1,"hashes":{"sha256":")" +
                               base64_encode(sha256("x")) + R"("}}})";
  const auto item = [&](const std::string& from, const std::string& to) {
    std::string text = url_item;
    text.replace(text.find(from), from.size(), to);
    return "[" + text + "]";
  };
  const std::string post = "/deviceUpdate/main/updates:import";
  std::string twelve = "[" + url_item;
  for (int i = 0; i < 11; ++i) twelve += "," + url_item;
  std::string many_files = "[" + url_item.substr(0, url_item.size() - 1) + R"(,"files":[)";
  for (int i = 0; i < 51; ++i)
    many_files +=
        (i == 0 ? "" : ",") + std::string(R"({"filename":"f)") + std::to_string(i) + R"(","url":"https://h/f"})";
  const std::string with_files = "[" + url_item.substr(0, url_item.size() - 1);
  const std::vector<Row> rows{
      {Method::post, post, "", 400},
      {Method::post, post, deep, 400},
      {Method::post, post, "[]", 400},
      {Method::post, post, "[null]", 400},
      {Method::post, post, "{\"a\":1,\"a\":2}", 400},
      {Method::post, post, "[\"\xff\"]", 400},
      {Method::post, post, std::string(service::kRequestLimit + 1, ' '), 413},
      {Method::post, post, twelve + "]", 400},
      {Method::post, post, many_files + "]}]", 400},
      {Method::post, post, item("https://h/m", "ftp://h/m"), 400},
      {Method::post, post, item("https://h/m", "file:///etc/passwd"), 400},
      {Method::post, post, item("https://h/m", "https://h/" + std::string(5000, 'x')), 400},
      {Method::post, post, item(":1,", ":0,"), 400},
      {Method::post, post, item(":1,", ":-1,"), 400},
      {Method::post, post, item(":1,", ":262145,"), 400},
      {Method::post, post, item(":1,", ":1e400,"), 400},
      {Method::post, post, item(":1,", ":\"1\","), 400},
      {Method::post, post, item("sha256", "md5"), 400},
      {Method::post, post, item("\"sha256\":\"", "\"sha256\":\"AAAA"), 400},
      {Method::post, post, with_files + R"(,"friendlyName":""}])", 400},
      {Method::post, post, with_files + R"(,"friendlyName":")" + std::string(513, 'x') + "\"}]", 400},
      {Method::post, post, with_files + R"(,"friendlyName":7}])", 400},
      {Method::post, post, with_files + R"(,"files":{}}])", 400},
      {Method::post, post, with_files + R"(,"files":[{"filename":"../x","url":"https://h/f"}]}])", 400},
      {Method::post, post, with_files + R"(,"files":[{"filename":"a/b","url":"https://h/f"}]}])", 400},
      {Method::post, post, with_files + R"(,"files":[{"filename":"x"}]}])", 400},
      {Method::post, post,
       with_files + R"(,"files":[{"filename":"x","url":"https://h/f"},{"filename":"x","url":"https://h/f"}]}])", 400},
      {Method::post, post, R"([{"importManifest":7}])", 400},
      {Method::post, post, R"([{"importManifest":"not json"}])", 400},
      {Method::post, post, R"([{"importManifest":")" + std::string(300'000, 'x') + "\"}]", 413},
      {Method::get, "/deviceUpdate/main/updates?search=" + std::string(513, 'x'), "", 400},
      {Method::get, "/deviceUpdate/main/updates?filter=" + std::string(2049, 'x'), "", 400},
      {Method::get, "/deviceUpdate/main/updates?filter=isDeployable", "", 400},
      {Method::get, "/deviceUpdate/main/updates?filter=isDeployable%20eq%20true%20or%20isDeployable%20eq%20false", "",
       400},
      {Method::get, "/deviceUpdate/main/updates?skiptoken=" + std::string(5000, 'A'), "", 400},
      {Method::get, "/deviceUpdate/main/updates/providers/" + std::string(65, 'x') + "/names/N/versions/1.0", "", 400},
      {Method::get, "/deviceUpdate/main/updates/providers/P/names/N/versions/1", "", 400},
      {Method::get, "/deviceUpdate/main/updates/providers/P/names/N/versions/1.2147483648", "", 400},
      {Method::get, "/deviceUpdate/main/updates/providers/%2e%2e%2f/names/N/versions/1.0", "", 400},
      {Method::get, "/deviceUpdate/main/updates/providers/%27%20OR%201%3D1/names", "", 404},
      {Method::get, "/deviceUpdate/main/updates/operations/" + std::string(3000, 'x'), "", 404},
      {Method::get, "/deviceUpdate/main/updates/operations?filter=status%20eq%20'Running'", "", 400},
      {Method::get, "/deviceUpdate/main/updates/operations?top=1%3B", "", 400},
      {Method::delete_, "/deviceUpdate/main/updates/providers/P/names/N/versions/1.0", "", 404},
  };
  for (const Row& row : rows) {
    const Reply reply = call(row.method, row.target, row.body);
    EXPECT_EQ(reply.status, row.status) << row.target.substr(0, 120) << " " << row.body.substr(0, 300) << "\n"
                                        << reply.body.substr(0, 300);
    EXPECT_LT(reply.body.size(), 3000U) << "an answer does not repeat a huge question";
    EXPECT_FALSE(reply.body.empty());
  }
  EXPECT_EQ(pages("/updates"), "0");
  EXPECT_EQ(pages("/updates/operations"), "0");
  EXPECT_EQ(rig.blobs->usage().blobs, 0U);
  EXPECT_EQ(call(Method::post, post, "[" + url_item + "]").status, 202) << "unharmed, the same request is taken";
}

TEST_F(UpdateRoutes, status_and_audit_trail_tell_what_happened) {
  import({});
  const auto status = object(call(Method::get, "/godwit/v1/main/status"));
  EXPECT_EQ(text_at(status, "instanceId"), "main");
  EXPECT_EQ(text_at(status, "version"), GODWIT_VERSION);
  EXPECT_EQ(json::integer_or_nothing(status, "deployableUpdateCount"), 1);
  (void)call(Method::delete_, "/deviceUpdate/main" + version);
  const auto events = json::find(object(call(Method::get, "/godwit/v1/main/auditEvents")), "value")->get_array();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(text_at(events[0].get_object(), "action"), "update.delete");
  EXPECT_EQ(text_at(events[0].get_object(), "actor"), "tester");
  EXPECT_EQ(text_at(events[0].get_object(), "subject"), "Contoso/Toaster/1.2.0");
  EXPECT_EQ(text_at(events[1].get_object(), "action"), "update.import");
}

}  // namespace godwit::api
