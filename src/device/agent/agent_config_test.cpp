#include "device/agent/agent_config.hpp"

#include <gtest/gtest.h>

#include "core/base/testing/temp_folder.hpp"

namespace godwit::agent {
namespace {

constexpr std::string_view kSmallest = R"(
[hub]
host = "hub.example"
device_id = "dev-1"
key_file = "device.key"
ca_file = "/etc/godwit/ca.pem"
[device]
manufacturer = "Contoso"
model = "Toaster"
[agent]
data = "agent"
)";

Result<AgentConfig> load(std::string text) {
  const TempFolder folder;
  GODWIT_CHECK(write_file_durably(folder.path() / "agent.toml", text).has_value());
  auto config = load_agent_config(folder.path() / "agent.toml");
  if (config) {
    EXPECT_EQ(config->key_file, folder.path() / "device.key") << "relative paths start at the file's folder";
  }
  return config;
}

TEST(AgentConfig, needs_little_and_fills_the_rest) {
  const auto config = load(std::string(kSmallest));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->hub_name, "hub.example");
  EXPECT_EQ(config->hub_tls_name, "hub.example");
  EXPECT_EQ(config->download_ca_file, "/etc/godwit/ca.pem");
  EXPECT_EQ(config->device_properties(), (CompatibilitySet{{"manufacturer", "Contoso"}, {"model", "Toaster"}}));
}

TEST(AgentConfig, more_properties_may_be_part_of_the_class) {
  const auto config = load(std::string(kSmallest) + "[installer]\npatience = \"5s\"\n");
  ASSERT_TRUE(config);
  std::string text{kSmallest};
  text.insert(text.find("[agent]"),
              "properties = [\"location=plant7\", \"note=a=b\"]\ncompat_property_names = [\"manufacturer\", \"model\", "
              "\"location\"]\n");
  const auto wide = load(text);
  ASSERT_TRUE(wide) << wide.error().message;
  EXPECT_EQ(wide->device_properties().at("location"), "plant7");
  EXPECT_EQ(wide->device_properties().at("note"), "a=b");
}

TEST(AgentConfig, a_device_proves_itself_by_one_of_key_and_certificate) {
  const auto with = [](std::string_view lines) {
    std::string text{kSmallest};
    const std::string_view key_line = "key_file = \"device.key\"\n";
    text.replace(text.find(key_line), key_line.size(), lines);
    const TempFolder folder;
    GODWIT_CHECK(write_file_durably(folder.path() / "agent.toml", text).has_value());
    auto config = load_agent_config(folder.path() / "agent.toml");
    if (config && !config->certificate_file.empty()) {
      EXPECT_EQ(config->certificate_file, folder.path() / "device.pem");
      EXPECT_TRUE(config->key_file.empty());
    }
    return config;
  };
  const auto one_file = with("certificate_file = \"device.pem\"\n");
  ASSERT_TRUE(one_file) << one_file.error().message;
  EXPECT_EQ(one_file->certificate_key_file, one_file->certificate_file);
  const auto two_files = with("certificate_file = \"device.pem\"\ncertificate_key_file = \"/etc/key.pem\"\n");
  ASSERT_TRUE(two_files);
  EXPECT_EQ(two_files->certificate_key_file, "/etc/key.pem");
  const auto both = with("key_file = \"device.key\"\ncertificate_file = \"device.pem\"\n");
  ASSERT_FALSE(both);
  EXPECT_NE(both.error().message.find("hub.key_file and hub.certificate_file are both set"), std::string::npos);
  const auto hardware = with("certificate_file = \"device.pem\"\ncertificate_key = \"handle:0x81000001\"\n");
  ASSERT_TRUE(hardware) << hardware.error().message;
  EXPECT_EQ(hardware->certificate_key, "handle:0x81000001");
  EXPECT_TRUE(hardware->certificate_key_file.empty());
  for (const auto& [lines, words] :
       {std::pair{"certificate_key = \"handle:0x81000001\"\n", "hub.certificate_key is set without"},
        {"certificate_file = \"device.pem\"\ncertificate_key_file = \"k\"\ncertificate_key = \"pkcs11:token=a\"\n",
         "hub.certificate_key and hub.certificate_key_file are both set"},
        {"certificate_file = \"device.pem\"\ncertificate_key = \"file:/key.pem\"\n",
         "hub.certificate_key is neither"}}) {
    const auto wrong = with(lines);
    ASSERT_FALSE(wrong) << lines;
    EXPECT_NE(wrong.error().message.find(words), std::string::npos) << wrong.error().message;
  }
  const auto half = with("certificate_key_file = \"/etc/key.pem\"\n");
  ASSERT_FALSE(half);
  EXPECT_NE(half.error().message.find("without hub.certificate_file"), std::string::npos);
}

TEST(AgentConfig, the_hub_is_configured_or_found_by_provisioning) {
  const std::string rest = "[device]\nmanufacturer = \"Contoso\"\nmodel = \"Toaster\"\n";
  const auto load_plain = [](const std::string& text) {
    const TempFolder folder;
    GODWIT_CHECK(write_file_durably(folder.path() / "agent.toml", text).has_value());
    return load_agent_config(folder.path() / "agent.toml");
  };
  const std::string place = "[provisioning]\nid_scope = \"0ne1\"\nregistration_id = \"sn-1\"\n";
  const auto good = load_plain("[hub]\nca_file = \"ca.pem\"\n" + place + "group_key_file = \"group.key\"\n" + rest);
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->device_id, "sn-1");
  EXPECT_EQ(good->provisioning_host, "global.azure-devices-provisioning.net");
  EXPECT_TRUE(good->group_key_file.is_absolute());
  const std::vector<std::pair<std::string, std::string>> cases{
      {"[hub]\nca_file = \"ca.pem\"\nhost = \"h\"\nkey_file = \"k\"\n" + place, "hub.host is set beside"},
      {"[hub]\nca_file = \"ca.pem\"\n" + place, "hub.key_file is missing"},
      {"[hub]\nca_file = \"ca.pem\"\nkey_file = \"k\"\n" + place + "group_key_file = \"g\"\n", "group_key_file is set"},
      {"[hub]\nca_file = \"ca.pem\"\nkey_file = \"k\"\n[provisioning]\nid_scope = \"0ne1\"\n",
       "registration_id is missing"},
      {"[hub]\nca_file = \"c\"\nkey_file = \"k\"\n[provisioning]\nid_scope = \"0ne1\"\nregistration_id = \"a/b\"\n",
       "other characters"},
      {"[hub]\nhost = \"h\"\ndevice_id = \"d\"\nca_file = \"ca.pem\"\nkey_file = "
       "\"k\"\n[provisioning]\nregistration_id = \"x\"\n",
       "without provisioning.id_scope"},
  };
  for (const auto& [text, expected] : cases) {
    const auto config = load_plain(text + rest);
    ASSERT_FALSE(config) << expected;
    EXPECT_NE(config.error().message.find(expected), std::string::npos) << config.error().message;
  }
}

TEST(AgentConfig, trust_and_proxy_are_chosen_explicitly) {
  std::string text{kSmallest};
  const auto with = [&](const std::string& hub, const std::string& more = "") {
    std::string changed = text;
    const auto begin = changed.find("ca_file =");
    changed.replace(begin, changed.find('\n', begin) - begin, hub);
    return load(changed + more);
  };
  const auto system = with("trust = \"system\"");
  ASSERT_TRUE(system) << system.error().message;
  EXPECT_TRUE(system->ca_file.empty() && system->download_ca_file.empty());
  EXPECT_FALSE(with("trust = \"nobody\""));
  EXPECT_FALSE(with("")) << "no trust without a word about it";
  const auto both = with("ca_file = \"ca.pem\"\ntrust = \"system\"");
  ASSERT_FALSE(both);
  EXPECT_NE(both.error().message.find("keep one"), std::string::npos);
  const auto credentials = with("ca_file = \"ca.pem\"", "[connection]\nproxy_credentials_file = \"p\"\n");
  ASSERT_FALSE(credentials);
  EXPECT_NE(credentials.error().message.find("without connection.proxy"), std::string::npos);
}

TEST(AgentConfig, sources_of_downloads_are_looked_at_before_the_first_is_asked) {
  const auto good = load(std::string(kSmallest) + "[download]\nsources = [\"file:///media/{sha256}\"]\n");
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->download_sources, (std::vector<std::string>{"file:///media/{sha256}"}));
  const auto bad = load(std::string(kSmallest) + "[download]\nsources = [\"http://cache/{sha256}\"]\n");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("download.sources: 'http://cache/{sha256}' is http"), std::string::npos);
  std::string many = "\"file:///m/{name}\"";
  for (int i = 0; i < 8; ++i) many += ", \"file:///m/{name}\"";
  EXPECT_FALSE(load(std::string(kSmallest) + "[download]\nsources = [" + many + "]\n"));
}

TEST(AgentConfig, says_what_is_wrong_and_where) {
  const auto without = [](std::string_view key) {
    std::string text{kSmallest};
    const auto begin = text.find(key);
    text.erase(begin, text.find('\n', begin) - begin);
    return text;
  };
  const std::vector<std::pair<std::string, std::string>> cases{
      {without("host ="), "hub.host"},
      {without("device_id ="), "hub.device_id"},
      {without("key_file ="), "hub.key_file"},
      {without("manufacturer ="), "device.manufacturer"},
      {std::string(kSmallest) + "[instaler]\nsocket = \"/run/x\"\n", "installer"},
      {std::string(kSmallest) + "[download]\ngive_up_after = \"soon\"\n", "give_up_after"},
      {std::string(kSmallest) + "[log]\nlevel = \"loud\"\n", "log.level"},
  };
  for (const auto& [text, expected] : cases) {
    const auto config = load(text);
    ASSERT_FALSE(config) << expected;
    EXPECT_NE(config.error().message.find(expected), std::string::npos) << config.error().message;
    EXPECT_NE(config.error().message.find("agent.toml"), std::string::npos) << config.error().message;
  }
  std::string text{kSmallest};
  text.insert(text.find("[agent]"), "compat_property_names = [\"colour\"]\n");
  const auto unknown = load(text);
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("colour"), std::string::npos);
}

}  // namespace
}  // namespace godwit::agent
