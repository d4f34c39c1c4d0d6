#include "apps/godwitd/config.hpp"

#include <gtest/gtest.h>

#include <set>

#include "server/net/test_peer.hpp"

namespace godwit::daemon {
namespace {

Result<Config> load(std::string_view text) {
  const net::TestFolder folder;
  EXPECT_TRUE(write_file_durably(folder.path() / "godwit.toml", text));
  return load_config(folder.path() / "godwit.toml");
}

TEST(Config, what_is_printed_reads_back_to_the_same_values) {
  Config config;
  config.hub_name = "hub.example";
  config.api_port = 18443;
  config.link_lifetime = std::chrono::hours(3);
  config.silence_deadline = std::chrono::hours(5);
  config.log_format = "json";
  const std::string text = print_config(config);
  const auto read = load(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(print_config(*read), text);
  EXPECT_EQ(read->api_port, 18443);
  EXPECT_EQ(read->link_lifetime, std::chrono::hours(3));
  EXPECT_EQ(read->silence_deadline, std::chrono::hours(5));
}

TEST(Config, a_wrong_key_is_named_with_the_nearest) {
  const auto read = load("[hub]\nprot = 1\n");
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("hub.port"), std::string::npos) << read.error().message;
}

TEST(Config, values_that_cannot_work_are_refused) {
  for (const char* text : {"[hub]\nport = 70000\n",
                           "[api]\nport = \"x\"\n",
                           "[api]\ninstance = \"a b\"\n",
                           "[hub]\nname = \"a/b\"\n",
                           "[hub]\nport = 8443\n[api]\nport = 8443\n",
                           "[api]\npublic_url = \"http://a\"\n",
                           "[telemetry]\nwebhook_url = \"http://a\"\n",
                           "[telemetry]\nwebhook_ca_file = \"/a\"\n",
                           "[api]\nhost = \"https://a\"\n",
                           "[dps]\nid_scope = \"a b\"\n",
                           "[dps]\nassigned_hub = \"https://a\"\n",
                           "[import]\nrequire_scan = true\n",
                           "[scan]\nkind = \"magic\"\n",
                           "[scan]\nkind = \"command\"\n",
                           "[scan]\nkind = \"command\"\ncommand = [\"clamscan\"]\n",
                           "[scan]\nkind = \"clamd\"\nclamd = \"nowhere\"\n",
                           "[scan]\nlargest_file = 0\n",
                           "[quota]\nupdates = -1\n",
                           "[blobs]\nkeep_unused = \"1s\"\n",
                           "[log]\nlevel = \"loud\"\n",
                           "[download]\nlink_lifetime = \"5m\"\n"}) {
    const auto read = load(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, Code::invalid_argument) << text;
  }
  EXPECT_TRUE(load("[hub]\nport = 0\n[api]\nport = 0\n"));
  EXPECT_TRUE(load("[import]\nrequire_scan = true\n[scan]\nkind = \"clamd\"\nclamd = \"scanner:3310\"\n"));
}

Result<Config> load_over(std::string_view text, const Overrides& overrides) {
  const net::TestFolder folder;
  EXPECT_TRUE(write_file_durably(folder.path() / "godwit.toml", text));
  return load_config(folder.path() / "godwit.toml", overrides);
}

TEST(Config, the_command_line_is_stronger_than_the_environment_and_that_than_the_file) {
  const auto read = load_over("[hub]\nport = 1\nname = \"of-the-file\"\n[api]\nport = 2\nworkers = 3\n",
                              {.environment = {"HOME=/", "GODWITD_CONFIG_HUB_PORT=11", "GODWITD_CONFIG_API_PORT=12"},
                               .settings = {"hub.port=21"}});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->hub_port, 21);
  EXPECT_EQ(read->api_port, 12);
  EXPECT_EQ(read->api_workers, 3);
  EXPECT_EQ(read->hub_name, "of-the-file");
}

TEST(Config, a_wrong_override_is_refused_with_its_name) {
  const auto why = [](const Overrides& overrides) {
    const auto read = load_over("", overrides);
    return read ? std::string("accepted") : read.error().message;
  };
  EXPECT_EQ(why({.environment = {"GODWITD_CONFIG_API_PORT=x"}, .settings = {}}),
            "GODWITD_CONFIG_API_PORT: expected a whole number");
  EXPECT_EQ(
      why({.environment = {"GODWITD_CONFIG_API_PROT=1"}, .settings = {}}),
      "the environment variable GODWITD_CONFIG_API_PROT belongs to no key; did you mean GODWITD_CONFIG_API_PORT?");
  EXPECT_EQ(why({.environment = {}, .settings = {"api.port"}}), "--set api.port: expected KEY=VALUE");
  EXPECT_EQ(why({.environment = {}, .settings = {"api.port=70000"}}), "--set api.port: must be at most 65535");
  const std::string both = why({.environment = {"GODWITD_CONFIG_HUB_PORT=8443"}, .settings = {}});
  EXPECT_NE(both.find("GODWITD_CONFIG_HUB_PORT: hub.port and api.port are the same port"), std::string::npos) << both;
}

TEST(Config, no_two_keys_come_from_one_variable) {
  Config config;
  std::set<std::string> names;
  const auto schema = schema_of(config);
  for (const auto& key : schema.keys())
    EXPECT_TRUE(names.insert(config::variable_of(kVariablePrefix, key.name)).second) << key.name;
  EXPECT_GT(names.size(), 50U);
}

}  // namespace
}  // namespace godwit::daemon
