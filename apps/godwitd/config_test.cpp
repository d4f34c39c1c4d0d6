#include "apps/godwitd/config.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace godwit::daemon
