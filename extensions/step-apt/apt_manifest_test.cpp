#include "apt_manifest.hpp"

#include <gtest/gtest.h>

namespace godwit::step_apt {
namespace {

TEST(AptManifest, the_documented_manifest_is_understood) {
  const auto manifest = parse_apt_manifest(
      R"({"name":"x","version":"1.0","agentRestartRequired":false,
          "packages":[{"name":"tree","version":"1.7.0-5"},{"name":"foo"},{"name":"bar-"},{"name":"libc6:arm64"}]})");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_FALSE(manifest->restarts_agent);
  std::vector<std::string> words;
  for (const Wish& wish : manifest->packages) words.push_back(apt_word(wish));
  EXPECT_EQ(words, (std::vector<std::string>{"tree=1.7.0-5", "foo", "bar-", "libc6:arm64"}));
}

TEST(AptManifest, the_agent_restarts_when_asked_or_when_it_is_updated_itself) {
  const auto restarts = [](const std::string& flag, const std::string& package) {
    return parse_apt_manifest("{\"name\":\"x\",\"version\":\"1\"," + flag + "\"packages\":[{\"name\":\"" + package +
                              "\"}]}")
        ->restarts_agent;
  };
  EXPECT_TRUE(restarts("\"agentRestartRequired\":true,", "tree"));
  EXPECT_TRUE(restarts("", "deviceupdate-agent"));
  EXPECT_TRUE(restarts("", "godwit-agent"));
  EXPECT_FALSE(restarts("", "godwit-agent-"));
  EXPECT_FALSE(restarts("", "tree"));
}

TEST(AptManifest, nothing_but_names_and_versions_reaches_apt) {
  for (const std::string name : {"", "-y", "--purge", "a", "tree*", "../x.deb", "/tmp/x.deb", "tree=1", "tree/sid",
                                 "Tree", "tree;id", "^tree", "tree:", "tree:-x", "t\\u00e9", "tree\\n"}) {
    const auto manifest =
        parse_apt_manifest("{\"name\":\"x\",\"version\":\"1\",\"packages\":[{\"name\":\"" + name + "\"}]}");
    ASSERT_FALSE(manifest) << name;
    EXPECT_NE(manifest.error().message.find("packages[0].name"), std::string::npos) << manifest.error().message;
  }
  for (const std::string version : {"-1", "a1", "1 2", "1;id", "1/x", "1\\n"})
    EXPECT_FALSE(
        parse_apt_manifest(R"({"name":"x","version":"1","packages":[{"name":"tree","version":")" + version + "\"}]}"))
        << version;
}

TEST(AptManifest, what_is_missing_or_twice_is_named) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"({"version":"1","packages":[{"name":"tree"}]})", "name"},
      {R"({"name":"x","packages":[{"name":"tree"}]})", "version"},
      {R"({"name":"x","version":"1"})", "packages"},
      {R"({"name":"x","version":"1","packages":[]})", "empty"},
      {R"({"name":"x","version":"1","packages":["tree"]})", "packages[0] is no object"},
      {R"({"name":"x","version":"1","packages":[{"name":"tree"},{"name":"tree-"}]})", "packages[1] names tree again"},
      {R"({"name":"x","version":"1","packages":[{"name":"tree-","version":"1"}]})", "one of the two"},
      {R"({"name":"x","version":"1","agentRestartRequired":"yes","packages":[{"name":"tree"}]})",
       "agentRestartRequired"},
  };
  for (const auto& [text, says] : cases) {
    const auto manifest = parse_apt_manifest(text);
    ASSERT_FALSE(manifest) << text;
    EXPECT_NE(manifest.error().message.find(says), std::string::npos) << text << ": " << manifest.error().message;
  }
}

}  // namespace
}  // namespace godwit::step_apt
