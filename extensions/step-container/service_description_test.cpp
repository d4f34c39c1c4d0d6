#include "service_description.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/json.hpp"
#include "podman.hpp"

namespace godwit::step_container {
namespace {

bool has(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

TEST(Description, becomes_words_for_podman_without_a_shell) {
  const auto service = parse_description(R"({"name":"web","installedCriteria":"1","restoreScope":"step",
    "arguments":["--listen","a b;c"],"environment":{"MODE":"x y","EMPTY":""},
    "ports":[{"host":8080,"container":80},{"host":53,"protocol":"udp","address":"127.0.0.1"},{"host":9,"address":"::1"}],
    "volumes":[{"source":"/srv/web","target":"/data","readOnly":true},{"source":"web-state","target":"/state"}],
    "devices":["/dev/ttyUSB0"],"restart":"on-failure","user":"1000:1000","memoryLimitBytes":67108864,"processLimit":50,
    "readOnlyRoot":true,"stopSeconds":3})");
  ASSERT_TRUE(service) << service.error().message;
  const auto words = create_words(*service, "abc", "one two", "w/1/0");
  const std::vector<std::string> expected{"create",
                                          "--pull=never",
                                          "--oom-score-adj=0",
                                          "--network=bridge",
                                          "--hostname=web",
                                          "--restart=on-failure",
                                          "--stop-timeout=3",
                                          "--env=MODE=x y",
                                          "--env=EMPTY=",
                                          "--publish=8080:80/tcp",
                                          "--publish=127.0.0.1:53:53/udp",
                                          "--publish=[::1]:9:9/tcp",
                                          "--volume=/srv/web:/data:ro",
                                          "--volume=web-state:/state:rw",
                                          "--device=/dev/ttyUSB0",
                                          "--user=1000:1000",
                                          "--memory=67108864b",
                                          "--pids-limit=50",
                                          "--read-only",
                                          "--label=org.godwit.installed-criteria=one two",
                                          "--label=org.godwit.token=w/1/0",
                                          "abc",
                                          "--listen",
                                          "a b;c"};
  EXPECT_EQ(words, expected);
  const auto again = parse_words(print_words(words));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, words);
}

TEST(Description, has_safe_defaults) {
  const auto service = parse_description(R"({"name":"web"})");
  ASSERT_TRUE(service);
  EXPECT_EQ(service->restart, "always");
  EXPECT_EQ(service->network, "bridge");
  EXPECT_EQ(service->health.time.count(), 60);
  const auto words = create_words(*service, "abc", "1", "t");
  EXPECT_TRUE(has(words, "--pull=never"));
  EXPECT_FALSE(has(words, "--read-only"));
}

TEST(Description, is_refused_where_it_breaks_a_rule_and_the_place_is_named) {
  const std::pair<const char*, const char*> kCases[] = {
      {R"({})", "name"},
      {R"({"name":"Web"})", "name"},
      {R"({"name":"-web"})", "name"},
      {R"({"name":"web","port":[]})", "port is no property"},
      {R"({"name":"web","arguments":"a b"})", "arguments"},
      {R"({"name":"web","arguments":[1]})", "arguments"},
      {R"({"name":"web","environment":{"A=B":"c"}})", "environment"},
      {R"({"name":"web","environment":{"1A":"c"}})", "environment"},
      {R"({"name":"web","environment":{"A":1}})", "environment.A"},
      {R"({"name":"web","ports":[{"container":80}]})", "ports[0].host"},
      {R"({"name":"web","ports":[{"host":65536}]})", "ports[0].host"},
      {R"({"name":"web","ports":[{"host":80,"protocol":"sctp"}]})", "ports[0].protocol"},
      {R"({"name":"web","ports":[{"host":80,"address":"0.0.0.0:1/x"}]})", "ports[0].address"},
      {R"({"name":"web","ports":[{"host":80,"hots":1}]})", "ports[0].hots"},
      {R"({"name":"web","network":"host","ports":[{"host":80}]})", "ports"},
      {R"({"name":"web","network":"container:x"})", "network"},
      {R"({"name":"web","volumes":[{"source":"/","target":"/x"}]})", "volumes[0].source"},
      {R"({"name":"web","volumes":[{"source":"/sys/fs","target":"/x"}]})", "volumes[0].source"},
      {R"({"name":"web","volumes":[{"source":"/srv/../etc","target":"/x"}]})", "volumes[0].source"},
      {R"({"name":"web","volumes":[{"source":"/srv:/x","target":"/x"}]})", "volumes[0].source"},
      {R"({"name":"web","volumes":[{"source":"srv/x","target":"/x"}]})", "volumes[0].source"},
      {R"({"name":"web","volumes":[{"source":"/srv/x","target":"x"}]})", "volumes[0].target"},
      {R"({"name":"web","volumes":[{"source":"/srv/x","target":"/x"},{"source":"b","target":"/x"}]})",
       "volumes[1].target"},
      {R"({"name":"web","devices":["/etc/shadow"]})", "devices"},
      {R"({"name":"web","devices":["/dev/../etc/shadow"]})", "devices"},
      {R"({"name":"web","restart":"sometimes"})", "restart"},
      {R"({"name":"web","user":"--privileged"})", "user"},
      {R"({"name":"web","memoryLimitBytes":1})", "memoryLimitBytes"},
      {R"({"name":"web","processLimit":0})", "processLimit"},
      {R"({"name":"web","readOnlyRoot":"yes"})", "readOnlyRoot"},
      {R"({"name":"web","stopSeconds":601})", "stopSeconds"},
      {R"({"name":"web","healthCommand":["--privileged"]})", "healthCommand"},
      {R"({"name":"web","deviceHealthCommand":["curl"]})", "deviceHealthCommand"},
      {R"({"name":"web","healthTimeoutSeconds":0})", "healthTimeoutSeconds"},
  };
  for (const auto& [text, named] : kCases) {
    const auto service = parse_description(text);
    ASSERT_FALSE(service) << text;
    EXPECT_NE(service.error().message.find(named), std::string::npos) << text << ": " << service.error().message;
  }
}

TEST(Description, has_a_limit) {
  EXPECT_FALSE(parse_description(R"({"name":"web","user":")" + std::string(60'000, 'a') + "\"}"));
  std::string many = R"({"name":"web","arguments":[)";
  for (int i = 0; i < 65; ++i) many += i == 0 ? "\"a\"" : ",\"a\"";
  EXPECT_FALSE(parse_description(many + "]}"));
}

TEST(CreateWords, are_not_taken_from_anything_else) {
  for (const char* text : {"", "{}", "[]", R"(["rm","--all"])", R"(["create"])", R"(["create",1,"x"])"})
    EXPECT_FALSE(parse_words(text)) << text;
}

TEST(Inspection, tells_what_handler_and_step_made_the_container) {
  const auto ours = parse_inspection(R"([{"Id":"c1","Name":"web","Image":"i1","RestartCount":2,
    "State":{"Status":"exited","Running":false,"ExitCode":3},
    "Config":{"Labels":{"org.godwit.installed-criteria":"1","org.godwit.token":"w/1/0","org.godwit.create":"[]","v":"1"}}}])");
  ASSERT_TRUE(ours) << ours.error().message;
  EXPECT_EQ(ours->criteria, "1");
  EXPECT_EQ(ours->token, "w/1/0");
  EXPECT_TRUE(ours->has_ended);
  EXPECT_EQ(ours->exit_code, 3);
  EXPECT_EQ(ours->restart_count, 2);
  const auto foreign =
      parse_inspection(R"([{"Id":"c1","Name":"web","Image":"i1","State":{"Running":true},"Config":{"Labels":null}}])");
  ASSERT_TRUE(foreign);
  EXPECT_FALSE(foreign->criteria);
  EXPECT_TRUE(foreign->is_running);
  for (const char* text : {"", "[]", "{}", R"([{"Id":"c"}])", R"([{"Id":"c1","Name":"w","Image":"i","State":{}}])"})
    EXPECT_FALSE(parse_inspection(text)) << text;
}

}  // namespace
}  // namespace godwit::step_container
