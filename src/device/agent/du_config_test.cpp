// Goal: a device of the original agent keeps its identity, its class and its properties; what cannot be taken over is
// refused or named, never dropped in silence.
#include "device/agent/du_config.hpp"

#include <gtest/gtest.h>

#include "core/base/config.hpp"
#include "core/base/testing/temp_folder.hpp"
#include "device/agent/agent_config.hpp"

namespace godwit::agent {
namespace {

std::string document(const std::string& source, const std::string& more = "", const std::string& agent_more = "") {
  return R"({"schemaVersion":"1.1","aduShellTrustedUsers":["adu","do"],"iotHubProtocol":"mqtt","manufacturer":"Shown","model":"Shown",)" +
         more + R"("agents":[{"name":"main","runas":"adu","connectionSource":)" + source +
         R"(,"manufacturer":"Contoso","model":"Toaster")" + agent_more + "}]}";
}
std::string by_string(const std::string& text) {
  return R"({"connectionType":"string","connectionData":")" + text + R"("})";
}
const std::string kGood = by_string("HostName=hub.example.org;DeviceId=dev-1;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==");

bool has_note(const ImportedConfig& imported, std::string_view part) {
  return std::any_of(imported.notes.begin(), imported.notes.end(),
                     [part](const std::string& note) { return note.find(part) != std::string::npos; });
}

/// The agent's own reader has the last word.
AgentConfig read_back(const ImportedConfig& imported) {
  const TempFolder folder;
  const Path file = folder.path() / "agent.toml";
  EXPECT_TRUE(write_file_durably(file, imported.toml));
  const auto config = load_agent_config(file);
  EXPECT_TRUE(config) << config.error().message << "\n" << imported.toml;
  return config ? *config : AgentConfig{};
}

TEST(DuConfig, becomes_a_configuration_that_this_agent_takes) {
  const auto imported = import_du_config(
      document(kGood, R"("compatPropertyNames":"manufacturer,model,location","downloadTimeoutInMinutes":480,)",
               R"(,"additionalDeviceProperties":{"location":"plant \"7\""})"),
      {});
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(imported->key.reveal(), "MDEyMzQ1Njc4OWFiY2RlZg==\n");
  const AgentConfig config = read_back(*imported);
  EXPECT_EQ(config.hub_host, "hub.example.org");
  EXPECT_EQ(config.device_id, "dev-1");
  EXPECT_EQ(config.key_file.filename(), "device.key");
  EXPECT_EQ(config.manufacturer, "Contoso");
  EXPECT_EQ(config.properties, (std::vector<std::string>{"location=plant \"7\""}));
  EXPECT_EQ(config.compat_property_names, (std::vector<std::string>{"manufacturer", "model", "location"}));
  EXPECT_EQ(config.download_time_limit, std::chrono::hours(8));
  EXPECT_TRUE(has_note(*imported, "aduShellTrustedUsers is left out"));
}

TEST(DuConfig, a_gateway_is_dialled_and_the_hub_is_meant) {
  const auto imported = import_du_config(document(by_string("HostName=hub.example.org;DeviceId=dev-1;SharedAccessKey="
                                                            "MDEyMzQ1Njc4OWFiY2RlZg==;GatewayHostName=edge.local"),
                                                  R"("edgegatewayCertPath":"/etc/edge-ca.pem",)"),
                                         {});
  ASSERT_TRUE(imported) << imported.error().message;
  const AgentConfig config = read_back(*imported);
  EXPECT_EQ(config.hub_host, "edge.local");
  EXPECT_EQ(config.hub_name, "hub.example.org");
  EXPECT_EQ(config.ca_file, "/etc/edge-ca.pem");
}

TEST(DuConfig, unknown_members_and_other_protocols_are_named) {
  const auto imported = import_du_config(document(kGood, R"("colour":"red",)"), {});
  ASSERT_TRUE(imported);
  EXPECT_TRUE(has_note(*imported, "colour is not known"));
  std::string sockets = document(kGood);
  sockets.replace(sockets.find("\"mqtt\""), 6, "\"mqtt/ws\"");
  EXPECT_TRUE(has_note(*import_du_config(sockets, {}), "iotHubProtocol 'mqtt/ws' is left out"));
}

TEST(DuConfig, what_cannot_be_taken_over_is_refused_with_the_way_out) {
  const auto refusal = [](const std::string& text) {
    const auto imported = import_du_config(text, {});
    return imported ? std::string("taken") : imported.error().message;
  };
  EXPECT_NE(refusal(document(R"({"connectionType":"AIS","connectionData":""})")).find("IoT Identity Service"),
            std::string::npos);
  EXPECT_NE(refusal(document(by_string("HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==")))
                .find("module"),
            std::string::npos);
  EXPECT_NE(refusal(document(by_string("HostName=h;DeviceId=d;x509=true"))).find("hub.certificate_file"),
            std::string::npos);
  EXPECT_NE(refusal(document(by_string("HostName=h;DeviceId=d;SharedAccessKey=???"))).find("SharedAccessKey"),
            std::string::npos);
  EXPECT_NE(refusal(document(by_string("HostName=h;DeviceId=d;HostName=x"))).find("twice"), std::string::npos);
  EXPECT_NE(refusal(document(by_string("HostName=h"))).find("DeviceId"), std::string::npos);
  EXPECT_NE(refusal(document(by_string("nonsense"))).find("without '='"), std::string::npos);
  EXPECT_NE(refusal(document(by_string("HostName=h\\ny = 1;DeviceId=d;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==")))
                .find("control"),
            std::string::npos);
  EXPECT_NE(refusal(document(kGood, "", R"(,"additionalDeviceProperties":{"a":7})")).find("additionalDeviceProperties"),
            std::string::npos);
  for (const char* text : {"", "{", "[]", "{}", R"({"agents":[]})", R"({"agents":[7]})"})
    EXPECT_NE(refusal(text), "taken") << text;
}

}  // namespace
}  // namespace godwit::agent
