#include "server/api/router.hpp"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

template <int N>
Result<Reply> handler(const Request&, Services&) {
  return Reply{.status = N};
}

Router make() {
  Router router;
  router.add({
      {Method::get, "/deviceUpdate/{instanceId}/updates", Permission::updates_read, handler<1>},
      {Method::post, "/deviceUpdate/{instanceId}/updates:import", Permission::updates_write, handler<2>},
      {Method::get, "/deviceUpdate/{instanceId}/management/groups/{group}/deployments/{deploymentId}",
       Permission::management_read, handler<3>},
      {Method::post, "/deviceUpdate/{instanceId}/management/groups/{group}/deployments/{deploymentId}:cancel",
       Permission::management_write, handler<4>},
      {Method::get, "/devices/{deviceId}", Permission::hub_read, handler<5>},
      {Method::put, "/devices/{deviceId}", Permission::hub_write, handler<6>},
      {Method::post, "/devices/query", Permission::hub_read, handler<7>},
      {Method::get, "/devices/query", Permission::hub_read, handler<8>},
  });
  return router;
}

const Request kNoRequest;

struct Found {
  Handler handler;
  std::map<std::string, std::string> parameters;
};
Found find(Method method, std::string_view path) {
  const auto target = parse_target(path);
  if (!target) return {};
  auto match = make().find(method, *target);
  if (!match) return {};
  const Handler* const plain = std::get_if<Handler>(&match->handler);
  return {plain == nullptr ? nullptr : *plain, match->parameters};
}

TEST(Router, literals_match_in_any_case_and_values_keep_theirs) {
  const Found found = find(Method::get, "/DEVICEupdate/main/Management/groups/%24Default/deployments/D%2F1");
  EXPECT_EQ(found.handler, handler<3>);
  EXPECT_EQ(found.parameters.at("group"), "$Default");
  EXPECT_EQ(found.parameters.at("deploymentId"), "D/1");
}

TEST(Router, the_verb_is_cut_off_before_decoding) {
  EXPECT_EQ(find(Method::post, "/deviceUpdate/main/updates:IMPORT").handler, handler<2>);
  const Found cancel = find(Method::post, "/deviceUpdate/main/management/groups/g/deployments/a%3Ab:cancel");
  EXPECT_EQ(cancel.handler, handler<4>);
  EXPECT_EQ(cancel.parameters.at("deploymentId"), "a:b");
  EXPECT_EQ(find(Method::post, "/deviceUpdate/main/updates%3Aimport").handler, nullptr)
      << "an encoded colon belongs to a value";
  EXPECT_EQ(find(Method::get, "/devices/a:b").parameters.at("deviceId"), "a:b");
}

TEST(Router, a_literal_is_preferred_to_a_value) {
  EXPECT_EQ(find(Method::get, "/devices/query").handler, handler<8>);
  EXPECT_EQ(find(Method::post, "/devices/query").handler, handler<7>);
  EXPECT_EQ(find(Method::put, "/devices/query").handler, handler<6>) << "a device may have this name";
}

TEST(Router, head_falls_back_to_get) { EXPECT_EQ(find(Method::head, "/devices/a").handler, handler<5>); }

TEST(Router, an_unknown_path_is_404_and_a_wrong_method_405_with_the_right_ones) {
  const Router router = make();
  EXPECT_TRUE(router.find(Method::get, *parse_target("/nothing")).error().allowed.empty());
  EXPECT_TRUE(router.find(Method::get, *parse_target("/devices//a")).error().allowed.empty());
  EXPECT_EQ(router.find(Method::delete_, *parse_target("/devices/a")).error().allowed,
            (std::vector<Method>{Method::get, Method::put}));
}

TEST(Router, manners_depend_on_the_family) {
  struct Case {
    const char* path;
    Code code;
  };
  const Router router = make();
  for (const auto& [path, code] :
       {Case{"/deviceUpdate/main/updates", Code::invalid_argument},
        Case{"/deviceUpdate/main/updates?api-version=2020-09-01", Code::invalid_argument},
        Case{"/deviceUpdate/main/updates?api-version=2022-10-01", Code::ok},
        Case{"/deviceUpdate/main/updates?API-Version=2022-10-01", Code::ok},
        Case{"/deviceUpdate/Main/updates?api-version=2022-10-01", Code::not_found},
        Case{"/devices/a", Code::invalid_argument}, Case{"/devices/a?api-version=2021-04-12", Code::ok},
        Case{"/devices/a?api-version=2018-06-30", Code::ok},
        Case{"/devices/a?api-version=2022-10-01", Code::invalid_argument}}) {
    const auto target = parse_target(path);
    const auto match = router.find(Method::get, *target);
    ASSERT_TRUE(match) << path;
    const auto checked = check_manners(*target, *match, "main");
    EXPECT_EQ(checked ? Code::ok : checked.error().code, code) << path;
  }
}

}  // namespace
}  // namespace godwit::api
