// Goal: a query over the store answers what its text means, page by page, within its bounds. Method: the real store
// with a handful of devices; and, for the plan and the lazy reading of sections, random conditions whose answer is
// compared with the same condition over whole twins.
#include "server/api/iothub/query_pages.hpp"

#include <random>

#include "core/base/bytes.hpp"
#include "server/api/iothub/shapes.hpp"
#include "server/api/iothub/twin_document.hpp"
#include "server/api/iothub/wide_queries.hpp"
#include "server/hub/query/document.hpp"
#include "server/hub/query/evaluate.hpp"
#include "server/hub/query/parser.hpp"
#include "server/store/testing.hpp"

namespace godwit::api::iothub {
namespace {

IdentityId device(std::string_view text) { return IdentityId::parse(text).value(); }

struct NewDevice {
  std::string id;
  const char* tags = "{}";
  const char* reported = "{}";
  bool is_connected = false;
  bool is_enabled = true;
  const char* desired = "{}";
};

/// Goes on by a second at each look.
class HastyClock final : public Clock {
 public:
  [[nodiscard]] WallTime now() const override { return {}; }
  [[nodiscard]] Duration monotonic() const override { return time_ += Duration{1'000}; }

 private:
  mutable Duration time_{};
};

class QueryPages : public testing::Test {
 protected:
  void add(const std::vector<NewDevice>& devices) {
    const auto job = [&](store::Records& records) -> Result<void> {
      for (const NewDevice& one : devices) {
        const IdentityId id = device(one.id);
        GODWIT_TRY_VOID(records.devices().insert_identity(
            {.id = id, .is_enabled = one.is_enabled, .primary_key = Secret{"0123456789abcdef"}}, test_.clock.now()));
        GODWIT_TRY_VOID(records.devices().save_session(
            id, {.model_id = "dtmi:m;1", .is_connected = one.is_connected, .last_activity = test_.clock.now()}));
        GODWIT_TRY(auto record, records.devices().find_twin(id));
        record->twin.tags = json::parse_object(one.tags).value();
        record->twin.desired.values = json::parse_object(one.desired).value();
        record->twin.reported.values = json::parse_object(one.reported).value();
        record->twin.reported.version = 3;
        GODWIT_TRY_VOID(records.devices().save_twin(id, *record));
      }
      return {};
    };
    const auto outcome = test_.store->write(job);
    ASSERT_TRUE(outcome) << outcome.error().message;
  }

  Result<QueryPage> page(const std::string& text, const PageRequest& request = {}) {
    const auto query = hub::query::parse_query(text);
    if (!query) return with_context("parse", query.error());
    QueryPage found;
    const auto job = [&](store::Records& records) -> Result<void> {
      GODWIT_TRY(found, run_query(records, *query, text, request,
                                  {.clock = *clock_, .jobs = jobs_, .budget = budget_, .limits = limits_}));
      return {};
    };
    GODWIT_TRY_VOID(test_.store->read(job));
    return found;
  }
  std::string rows(const std::string& text) {
    const auto found = page(text, {.size = 1000});
    EXPECT_TRUE(found) << text << "\n" << found.error().message;
    return found ? found->rows : std::string{};
  }
  /// All pages of a query, a bar between them.
  std::string paged(const std::string& text, std::size_t size) {
    PageRequest request{.size = size};
    std::string all;
    for (int pages = 0; pages < 100; ++pages) {
      const auto found = page(text, request);
      EXPECT_TRUE(found) << found.error().message;
      if (!found) return all;
      all += (pages == 0 ? "" : "|") + found->rows;
      if (found->continuation.empty()) return all;
      request.continuation = found->continuation;
    }
    ADD_FAILURE() << "the pages of '" << text << "' do not end";
    return all;
  }
  std::string ids_of(const std::string& condition) { return rows("SELECT deviceId FROM devices WHERE " + condition); }

  store::TestStore test_;
  Clock* clock_ = &test_.clock;
  DeviceJobs jobs_;
  QueryBudget budget_;
  hub::query::Limits limits_;
};

TEST_F(QueryPages, select_everything_gives_whole_twins) {
  add({{.id = "a", .tags = R"({"ADUGroup":"g"})", .reported = R"({"r":1})", .is_connected = true}});
  const auto found = page("SELECT * FROM devices");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->item_type, "Twin");
  EXPECT_EQ(found->continuation, "");
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const Device one, find_device(records, device("a")));
    EXPECT_EQ(found->rows, "[" + json::print(twin_json(one.identity, one.session, one.twin)) + "]");
    return {};
  };
  ASSERT_TRUE(test_.store->read(job));
  EXPECT_EQ(rows("SELECT * FROM devices WHERE tags.ADUGroup = 'other'"), "[]");
  EXPECT_EQ(rows("SELECT * FROM devices.modules"), "[]");
  EXPECT_EQ(page("SELECT * FROM devices.modules")->item_type, "Twin");
}

TEST_F(QueryPages, modules_are_a_collection_of_their_own) {
  add({{.id = "a"},
       {.id = "a/m1", .tags = R"({"s":"x"})"},
       {.id = "a/m2", .reported = R"({"status":"scanning"})"},
       {.id = "b/m1", .reported = R"({"status":"scanning"})"}});
  const std::string select = "SELECT deviceId AS d, moduleId AS m FROM devices.modules";
  EXPECT_EQ(rows(select), R"([{"d":"a","m":"m1"},{"d":"a","m":"m2"},{"d":"b","m":"m1"}])");
  EXPECT_EQ(paged(select, 2), R"([{"d":"a","m":"m1"},{"d":"a","m":"m2"}]|[{"d":"b","m":"m1"}])");
  EXPECT_EQ(rows(select + " WHERE devices.modules.moduleId = 'm1' AND devices.deviceId = 'a'"),
            R"([{"d":"a","m":"m1"}])");
  EXPECT_EQ(rows(select + " WHERE properties.reported.status = 'scanning' AND deviceId IN ['b', 'c']"),
            R"([{"d":"b","m":"m1"}])");
  EXPECT_EQ(rows(select + " WHERE tags.s = 'x'"), R"([{"d":"a","m":"m1"}])");
  EXPECT_EQ(rows("SELECT deviceId, moduleId FROM devices"), R"([{"deviceId":"a"}])");
  EXPECT_EQ(rows("SELECT COUNT() AS c FROM devices.modules"), R"([{"c":3}])");
  const auto whole = json::parse(rows("SELECT * FROM devices.modules WHERE deviceId = 'b'"));
  EXPECT_EQ(whole->get_array()[0].at("moduleId").as_string(), "m1");
  EXPECT_EQ(whole->get_array()[0].at("deviceId").as_string(), "b");
}

TEST_F(QueryPages, projections_read_columns_and_sections) {
  add({{.id = "a",
        .tags = R"({"site":"x","n":null})",
        .reported = R"({"agent":{"state":"idle"},"t":1.5})",
        .is_connected = true,
        .desired = R"({"rate":60})"},
       {.id = "b", .is_enabled = false}});
  EXPECT_EQ(
      rows("SELECT deviceId, tags.site, tags.n, properties.reported.agent AS a, properties.desired.rate FROM devices"),
      R"([{"deviceId":"a","site":"x","n":null,"a":{"state":"idle"},"rate":60},{"deviceId":"b"}])");
  EXPECT_EQ(rows("SELECT status, connectionState AS c, modelId, capabilities.iotEdge AS e, version FROM devices"),
            R"([{"status":"enabled","c":"Connected","modelId":"dtmi:m;1","e":false,"version":1},)"
            R"({"status":"disabled","c":"Disconnected","modelId":"dtmi:m;1","e":false,"version":1}])");
  EXPECT_EQ(rows("SELECT properties.reported.$version AS v, moduleId FROM devices WHERE deviceId = 'a'"),
            R"([{"v":3}])");
  const auto whole = json::parse(rows("SELECT properties AS p FROM devices WHERE deviceId = 'a'"));
  const json::Value& properties = whole->get_array()[0].at("p");
  EXPECT_EQ(properties.at("reported").at("t").as_double(), 1.5);
  EXPECT_EQ(properties.at("reported").at("$version").as_int64(), 3);
  EXPECT_TRUE(properties.at("desired").at("$metadata").as_object().contains("$lastUpdated"));
  EXPECT_EQ(page("SELECT deviceId FROM devices")->item_type, "Raw");
}

TEST_F(QueryPages, conditions_select_through_every_way_of_reading) {
  add({{.id = "line-1",
        .tags = R"({"ADUGroup":"g","place":{"hall":"B"}})",
        .reported = R"({"t":5})",
        .is_connected = true},
       {.id = "line-2", .tags = R"({"ADUGroup":"g"})", .reported = R"({"t":7})", .is_enabled = false},
       {.id = "line-3", .tags = R"({"ADUGroup":"h"})", .is_connected = true},
       {.id = "other"}});
  struct Case {
    const char* condition;
    const char* ids;
  };
  const Case cases[] = {
      {"tags.ADUGroup = 'g'", R"([{"deviceId":"line-1"},{"deviceId":"line-2"}])"},
      {"tags.ADUGroup = 'g' AND properties.reported.t > 5", R"([{"deviceId":"line-2"}])"},
      {"tags.place.hall = 'B'", R"([{"deviceId":"line-1"}])"},
      {"tags.ADUGroup != 'g'", R"([{"deviceId":"line-3"}])"},
      {"NOT IS_DEFINED(tags.ADUGroup)", R"([{"deviceId":"other"}])"},
      {"deviceId IN ['line-3', 'line-1', 'nobody']", R"([{"deviceId":"line-1"},{"deviceId":"line-3"}])"},
      {"deviceId IN ['']", "[]"},
      {"deviceId = 'line-1' AND tags.ADUGroup = 'h'", "[]"},
      {"deviceId = 'line-1' AND deviceId = 'line-2'", "[]"},
      {"STARTSWITH(deviceId, 'line-') AND connectionState = 'Connected'",
       R"([{"deviceId":"line-1"},{"deviceId":"line-3"}])"},
      {"deviceId > 'line-1' AND deviceId < 'other'", R"([{"deviceId":"line-2"},{"deviceId":"line-3"}])"},
      {"deviceId < ''", "[]"},
      {"status = 'disabled'", R"([{"deviceId":"line-2"}])"},
      {"connectionState = 'Connected' AND tags.ADUGroup = 'h'", R"([{"deviceId":"line-3"}])"},
      {"properties.reported.t = 5 OR deviceId = 'other'", R"([{"deviceId":"line-1"},{"deviceId":"other"}])"},
      {"lastActivityTime >= '2026-01-01' AND modelId = 'dtmi:m;1' AND deviceId = 'other'", R"([{"deviceId":"other"}])"},
  };
  for (const Case& one : cases) EXPECT_EQ(ids_of(one.condition), one.ids) << one.condition;
}

TEST_F(QueryPages, pages_follow_each_other_and_the_last_one_says_so) {
  add({{.id = "a"}, {.id = "b", .tags = R"({"s":1})"}, {.id = "c"}, {.id = "d", .tags = R"({"s":1})"}, {.id = "e"}});
  EXPECT_EQ(paged("SELECT deviceId FROM devices", 2),
            R"([{"deviceId":"a"},{"deviceId":"b"}]|[{"deviceId":"c"},{"deviceId":"d"}]|[{"deviceId":"e"}])");
  EXPECT_EQ(paged("SELECT deviceId FROM devices WHERE tags.s = 1", 2), R"([{"deviceId":"b"},{"deviceId":"d"}])");
  EXPECT_EQ(paged("SELECT deviceId FROM devices WHERE tags.s = 1", 1), R"([{"deviceId":"b"}]|[{"deviceId":"d"}])");
  EXPECT_EQ(paged("SELECT deviceId FROM devices WHERE deviceId IN ['a','c','e']", 2),
            R"([{"deviceId":"a"},{"deviceId":"c"}]|[{"deviceId":"e"}])");
  EXPECT_EQ(paged("SELECT TOP 3 deviceId FROM devices", 2),
            R"([{"deviceId":"a"},{"deviceId":"b"}]|[{"deviceId":"c"}])");
  EXPECT_EQ(paged("SELECT TOP 2 deviceId FROM devices", 2), R"([{"deviceId":"a"},{"deviceId":"b"}])");
  EXPECT_EQ(paged("SELECT TOP 9 deviceId FROM devices", 5),
            R"([{"deviceId":"a"},{"deviceId":"b"},{"deviceId":"c"},{"deviceId":"d"},{"deviceId":"e"}])");
}

TEST_F(QueryPages, aggregations_count_the_whole_fleet_and_page_their_groups) {
  add({{.id = "a", .tags = R"({"s":"x"})", .reported = R"({"t":1})"},
       {.id = "b", .tags = R"({"s":"y"})", .reported = R"({"t":2})"},
       {.id = "c", .tags = R"({"s":"x"})", .reported = R"({"t":3})"},
       {.id = "d"}});
  EXPECT_EQ(rows("SELECT COUNT() FROM devices"), R"([{"$1":4}])");
  EXPECT_EQ(rows("SELECT COUNT() AS c FROM devices WHERE tags.s = 'x'"), R"([{"c":2}])");
  EXPECT_EQ(rows("SELECT COUNT() AS c FROM devices.modules"), R"([{"c":0}])");
  EXPECT_EQ(rows("SELECT AVG(properties.reported.t) AS a FROM devices"), R"([{"a":2}])");
  const std::string groups =
      "SELECT tags.s AS s, COUNT() AS n, MAX(properties.reported.t) AS t FROM devices GROUP BY tags.s";
  EXPECT_EQ(rows(groups), R"([{"s":"x","n":2,"t":3},{"s":"y","n":1,"t":2},{"n":1}])");
  EXPECT_EQ(paged(groups, 1), R"([{"s":"x","n":2,"t":3}]|[{"s":"y","n":1,"t":2}]|[{"n":1}])");
  EXPECT_EQ(paged("SELECT TOP 2 tags.s AS s, COUNT() AS n FROM devices GROUP BY tags.s", 1),
            R"([{"s":"x","n":2}]|[{"s":"y","n":1}])");
  EXPECT_EQ(page(groups)->item_type, "Raw");
}

TEST_F(QueryPages, a_continuation_fits_its_own_query_only) {
  add({{.id = "a"}, {.id = "b"}});
  const std::string token = page("SELECT * FROM devices", {.size = 1})->continuation;
  ASSERT_NE(token, "");
  const auto other = page("SELECT deviceId FROM devices", {.continuation = token});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::invalid_argument);
  EXPECT_NE(other.error().message.find("belongs to another query"), std::string::npos);
  for (const std::string& broken :
       {std::string("!"), std::string("YWJj"), base64url_encode("12345678"), base64url_encode("12345678."),
        base64url_encode("12345678.x.a"), base64url_encode("12345678.1"), base64url_encode("12345678.-1.a")}) {
    const auto refused = page("SELECT * FROM devices", {.continuation = broken});
    ASSERT_FALSE(refused) << broken;
    EXPECT_EQ(refused.error().code, Code::invalid_argument);
  }
}

TEST_F(QueryPages, a_page_that_meets_its_budget_is_short_and_goes_on) {
  add({{.id = "a"}, {.id = "b"}, {.id = "c", .tags = R"({"s":1})"}, {.id = "d"}, {.id = "e", .tags = R"({"s":1})"}});
  const std::string query = "SELECT deviceId FROM devices WHERE tags.s = 1";
  budget_.page_rows = 2;
  EXPECT_EQ(paged(query, 100), R"([]|[{"deviceId":"c"}]|[{"deviceId":"e"}])");
  EXPECT_EQ(paged("SELECT deviceId FROM devices WHERE deviceId IN ['a','b','c','d']", 100),
            R"([{"deviceId":"a"},{"deviceId":"b"}]|[{"deviceId":"c"},{"deviceId":"d"}])");
  budget_ = {.page_bytes = 20};
  EXPECT_EQ(paged("SELECT deviceId FROM devices WHERE deviceId < 'd'", 100),
            R"([{"deviceId":"a"},{"deviceId":"b"}]|[{"deviceId":"c"}])");

  std::vector<NewDevice> many;
  for (int i = 0; i < 200; ++i) many.push_back({.id = "n" + std::to_string(1000 + i)});
  add(many);
  HastyClock hasty;
  clock_ = &hasty;
  budget_ = {.page_time = Duration{1}};
  const std::string pages = paged("SELECT deviceId FROM devices WHERE tags.s = 1 OR deviceId = 'n1199'", 100);
  EXPECT_EQ(pages, R"([{"deviceId":"c"},{"deviceId":"e"}]|[]|[]|[{"deviceId":"n1199"}])");
}

TEST_F(QueryPages, an_aggregation_that_meets_a_bound_is_refused) {
  add({{.id = "a", .tags = R"({"s":1})"}, {.id = "b", .tags = R"({"s":2})"}, {.id = "c", .tags = R"({"s":3})"}});
  const auto refusal = [&](const char* query) {
    const auto refused = page(query);
    EXPECT_FALSE(refused);
    return refused ? Error{} : refused.error();
  };
  limits_.groups = 2;
  EXPECT_EQ(refusal("SELECT COUNT() FROM devices GROUP BY tags.s").code, Code::too_large);
  budget_.whole_rows = 2;
  const Error rows = refusal("SELECT COUNT() FROM devices");
  EXPECT_EQ(rows.code, Code::too_large);
  EXPECT_NE(rows.message.find("more than 2 twins"), std::string::npos);
  budget_.whole_rows = 3;
  EXPECT_TRUE(page("SELECT COUNT() FROM devices"));

  std::vector<NewDevice> many;
  for (int i = 0; i < 100; ++i) many.push_back({.id = "n" + std::to_string(1000 + i)});
  add(many);
  HastyClock hasty;
  clock_ = &hasty;
  budget_ = {.whole_time = Duration{1}};
  const Error time = refusal("SELECT COUNT() FROM devices");
  EXPECT_EQ(time.code, Code::timed_out);
  EXPECT_NE(time.message.find("narrow it"), std::string::npos);
}

TEST_F(QueryPages, jobs_come_from_whoever_keeps_them) {
  EXPECT_EQ(rows("SELECT * FROM devices.jobs"), "[]");
  jobs_ = [](store::Records&) -> Result<std::vector<json::Object>> {
    std::vector<json::Object> jobs;
    for (const char* id : {"d1", "d2", "d3"})
      jobs.push_back(json::Object{{"jobId", "j"}, {"deviceId", id}, {"status", "completed"}});
    return jobs;
  };
  EXPECT_EQ(page("SELECT * FROM devices.jobs")->item_type, "DeviceJob");
  EXPECT_EQ(rows("SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = 'd2' AND jobId = 'j'"),
            R"([{"jobId":"j","deviceId":"d2","status":"completed"}])");
  EXPECT_EQ(
      paged("SELECT * FROM devices.jobs WHERE deviceId IN ['d1','d3']", 1),
      R"([{"jobId":"j","deviceId":"d1","status":"completed"}]|[{"jobId":"j","deviceId":"d3","status":"completed"}])");
  EXPECT_EQ(paged("SELECT TOP 1 * FROM devices.jobs", 5), R"([{"jobId":"j","deviceId":"d1","status":"completed"}])");
  const std::string query = "SELECT * FROM devices.jobs";
  const std::string foreign = base64url_encode(hex_encode(sha256(query).substr(0, 4)) + ".1.x");
  EXPECT_EQ(page(query, {.continuation = foreign}).error().code, Code::invalid_argument);
}

TEST_F(QueryPages, a_condition_alone_selects_devices_for_a_job) {
  add({{.id = "a", .tags = R"({"s":"x"})"},
       {.id = "b"},
       {.id = "c", .tags = R"({"s":"x"})"},
       {.id = "d", .tags = R"({"s":"x"})"}});
  const auto condition = hub::query::parse_condition("tags.s = 'x'").value();
  const auto select = [&](const std::string& after, std::size_t size, const QueryBudget& budget) {
    DevicePage found;
    const auto job = [&](store::Records& records) -> Result<void> {
      GODWIT_TRY(found, select_devices(records, condition, after, size, test_.clock, budget));
      return {};
    };
    EXPECT_TRUE(test_.store->read(job));
    return found;
  };
  const DevicePage first = select("", 2, {});
  EXPECT_EQ(first.ids, (std::vector{device("a"), device("c")}));
  EXPECT_NE(first.after, "");
  const DevicePage second = select(first.after, 2, {});
  EXPECT_EQ(second.ids, std::vector{device("d")});
  EXPECT_EQ(second.after, "");
  EXPECT_EQ(select("", 100, {.page_rows = 1}).after, "a");
}

TEST(TwinDocument, parses_what_is_asked_for_and_reports_a_text_that_is_no_json) {
  const store::DeviceIdentity identity{.id = device("a")};
  const store::DeviceSession session;
  const auto path = [](const char* text) { return hub::query::parse_condition(text)->where.path; };
  TwinDocument document;
  const store::TwinRow broken{.identity = identity, .session = session, .tags = R"({"x":1})", .reported = "{broken"};
  document.show(broken);
  EXPECT_EQ(document.find(path("tags.x"))->as_int64(), 1);
  EXPECT_EQ(document.find(path("deviceId"))->as_string(), "a");
  EXPECT_TRUE(document.outcome()) << "what is not read cannot be broken";
  EXPECT_EQ(document.find(path("properties.reported.x")), nullptr);
  ASSERT_FALSE(document.outcome());
  EXPECT_EQ(document.outcome().error().code, Code::database_failed);
  EXPECT_NE(document.outcome().error().message.find("reported section of 'a'"), std::string::npos);

  const store::TwinRow whole{.identity = identity, .session = session, .tags = "{}", .reported = R"({"x":{"y":2}})"};
  document.show(whole);
  EXPECT_TRUE(document.outcome());
  EXPECT_EQ(document.find(path("tags.x")), nullptr) << "the row before is forgotten";
  EXPECT_EQ(document.find(path("properties.reported.x.y"))->as_int64(), 2);
}

TEST(WideQueries, only_queries_that_may_read_the_fleet_wait_for_a_turn) {
  const auto wide = [](const char* text) { return is_wide(hub::query::parse_query(text).value()); };
  EXPECT_TRUE(wide("SELECT * FROM devices WHERE properties.reported.a = 1"));
  EXPECT_TRUE(wide("SELECT COUNT() FROM devices"));
  EXPECT_TRUE(wide("SELECT * FROM devices WHERE deviceId > 'a'"));
  EXPECT_FALSE(wide("SELECT * FROM devices")) << "a page of it is what is read";
  EXPECT_FALSE(wide("SELECT * FROM devices WHERE deviceId = 'a' AND properties.reported.a = 1"));
  EXPECT_FALSE(wide("SELECT COUNT() FROM devices WHERE tags.ADUGroup = 'g'"));
  EXPECT_FALSE(wide("SELECT * FROM devices WHERE STARTSWITH(deviceId, 'a')"));
  EXPECT_FALSE(wide("SELECT * FROM devices.jobs WHERE status = 'x'"));

  WideQueries queries(1);
  const WideQueries::Turn first(queries, true);
  EXPECT_TRUE(first.is_mine());
  EXPECT_TRUE(WideQueries::Turn(queries, false).is_mine());
  EXPECT_FALSE(WideQueries::Turn(queries, true).is_mine());
  EXPECT_FALSE(WideQueries::Turn(queries, true).is_mine()) << "a refused one gives its place back";
}

/// Random conditions over members that exist, sometimes exist, and never exist.
class Conditions {
 public:
  explicit Conditions(std::uint32_t seed) : random_(seed) {}
  std::string next(int depth = 3) {
    switch (pick(depth > 0 ? 9 : 6)) {
      case 0: return "deviceId " + one_of({"=", "<", "<=", ">", ">=", "!="}) + " " + id();
      case 1: return "deviceId " + one_of({"IN", "NIN"}) + " [" + id() + "," + id() + "]";
      case 2: return "STARTSWITH(deviceId, " + one_of({"'d'", "'d1'", "''", "'x'"}) + ")";
      case 3: return member() + " " + one_of({"=", "!=", "<", ">="}) + " " + value();
      case 4: return one_of({"IS_DEFINED(", "IS_NUMBER(", "IS_NULL(", "IS_OBJECT("}) + member() + ")";
      case 5:
        return one_of({"connectionState = 'Connected'", "connectionState = 'Disconnected'", "status = 'enabled'",
                       "status = 'disabled'", "status != 'disabled'"});
      case 6: return "NOT " + next(depth - 1);
      default: {
        std::string text = "(" + next(depth - 1);
        const std::string word = one_of({" AND ", " AND ", " OR "});
        for (std::uint32_t i = 0; i <= pick(2); ++i) text += word + next(depth - 1);
        return text + ")";
      }
    }
  }

 private:
  std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }
  std::string one_of(const std::vector<std::string>& texts) {
    return texts[pick(static_cast<std::uint32_t>(texts.size()))];
  }
  std::string id() { return "'d" + std::to_string(pick(30)) + "'"; }
  std::string member() {
    return one_of({"tags.s", "tags.p.q", "tags.n", "tags.none", "properties.reported.t", "properties.reported.o.x",
                   "properties.desired.r", "properties.reported.$version", "version", "tags.p"});
  }
  std::string value() { return one_of({"'x'", "'y'", "1", "2", "3", "null", "true", "undefined"}); }

  std::mt19937 random_;
};

TEST_F(QueryPages, random_conditions_select_what_they_select_over_whole_twins) {
  constexpr const char* kTags[] = {"{}", R"({"s":"x"})", R"({"s":"y","p":{"q":"x"}})", R"({"s":1,"n":2})",
                                   R"({"s":null,"p":{"q":true}})"};
  constexpr const char* kSections[] = {"{}", R"({"t":1,"r":2})", R"({"t":"x","o":{"x":1},"r":null})",
                                       R"({"o":[1],"r":true})"};
  std::vector<NewDevice> devices;
  for (unsigned i = 0; i < 25; ++i)
    devices.push_back({.id = "d" + std::to_string(i),
                       .tags = kTags[i % 5],
                       .reported = kSections[i % 4],
                       .is_connected = i % 3 == 0,
                       .is_enabled = i % 7 != 0,
                       .desired = kSections[(i + 1) % 4]});
  for (unsigned i = 0; i < 12; ++i)
    devices.push_back({.id = "d" + std::to_string(i / 2) + "/m" + std::to_string(i),
                       .tags = kTags[i % 5],
                       .reported = kSections[i % 4],
                       .is_connected = i % 2 == 0});
  std::sort(devices.begin(), devices.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  add(devices);

  Conditions conditions(20260301);
  for (int round = 0; round < 2000; ++round) {
    const std::string text = conditions.next();
    const bool is_modules = round % 4 == 0;
    const auto condition = hub::query::parse_condition(
        text, is_modules ? hub::query::Collection::modules : hub::query::Collection::devices);
    ASSERT_TRUE(condition) << text << "\n" << condition.error().message;
    std::vector<IdentityId> expected;
    DevicePage found;
    const auto job = [&](store::Records& records) -> Result<void> {
      for (const NewDevice& candidate : devices) {
        GODWIT_TRY(const Device one, find_device(records, device(candidate.id)));
        const json::Object whole = twin_json(one.identity, one.session, one.twin);
        hub::query::JsonDocument document(whole);
        if (one.identity.id.is_module() == is_modules && hub::query::is_true(condition->where, document))
          expected.push_back(one.identity.id);
      }
      GODWIT_TRY(found, select_devices(records, *condition, "", 1000, test_.clock));
      return {};
    };
    ASSERT_TRUE(test_.store->read(job));
    ASSERT_EQ(found.ids, expected) << text;
  }
}

}  // namespace
}  // namespace godwit::api::iothub
