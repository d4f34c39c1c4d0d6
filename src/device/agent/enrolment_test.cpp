#include "device/agent/enrolment.hpp"

#include <gtest/gtest.h>

#include "core/base/bytes.hpp"
#include "core/base/json.hpp"
#include "core/trust/certificates.hpp"
#include "core/trust/root_keys.hpp"
#include "device/agent/agent_config.hpp"

namespace godwit::agent {
namespace {

const std::string kFingerprint(64, 'a');
const std::string kKey(64, '1');

std::string words() { return "#" + kFingerprint + "-" + kKey; }

TEST(EnrolmentUrl, it_names_the_service_its_authority_and_the_key) {
  const auto url = parse_enrolment_url("https://updates.example.org:9443" + words());
  ASSERT_TRUE(url) << url.error().message;
  EXPECT_EQ(url->host, "updates.example.org");
  EXPECT_EQ(url->port, "9443");
  EXPECT_EQ(hex_encode(url->authority), kFingerprint);
  EXPECT_EQ(hex_encode(url->group_key.reveal()), kKey);
  EXPECT_EQ(parse_enrolment_url("https://updates.example.org/" + words())->port, "8443") << "the usual one";
  EXPECT_EQ(parse_enrolment_url("https://[2001:db8::1]:9443" + words())->host, "2001:db8::1");
}

TEST(EnrolmentUrl, it_is_refused_with_what_is_missing_and_without_its_key) {
  for (const std::string& text :
       {std::string(), "http://a" + words(), std::string("https://a"), "https://a#" + kFingerprint,
        "https://" + words(), "https://a:0" + words(), "https://a:65536" + words(), "https://a/b" + words(),
        "https://me@a" + words(), "https://a\r\nX: y" + words(), "https://a\nb" + words(),
        "https://a#" + kFingerprint.substr(2) + "-" + kKey, "https://a#" + kFingerprint + "-" + kKey.substr(0, 30),
        "https://a#" + kFingerprint + "-" + kKey + kKey + "11", "https://a#" + kFingerprint + "-xyz" + kKey,
        "https://" + std::string(2000, 'a') + words()}) {
    const auto url = parse_enrolment_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, Code::invalid_argument) << text;
    EXPECT_EQ(url.error().message.find("1111"), std::string::npos) << "the key belongs into no log: " << text;
  }
}

struct Spoken {
  EnrolmentUrl url{};
  json::Object facts{};
};

Spoken spoken() {
  const auto ca = trust::make_ca("test", 10);
  const auto key = trust::PrivateKey::generate();
  trust::TrustAnchors anchors;
  anchors.keys.emplace("root-1", key->public_key());
  Spoken made;
  made.url = {
      .host = "updates.example.org", .port = "8443", .authority = *trust::certificate_fingerprint(ca->certificate_pem)};
  made.facts = {
      {"ca", ca->certificate_pem}, {"trustAnchors", anchors.print()}, {"idScope", "0ne12345678"}, {"hubPort", 8883}};
  return made;
}

TEST(Enrolment, it_is_believed_only_with_the_authority_of_the_url) {
  Spoken made = spoken();
  ASSERT_TRUE(parse_enrolment(json::print(made.facts), made.url));
  made.url.authority[0] = static_cast<char>(made.url.authority[0] ^ 1);
  const auto other = parse_enrolment(json::print(made.facts), made.url);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::refused);
}

TEST(Enrolment, no_second_authority_comes_in_behind_the_first) {
  const Spoken made = spoken();
  json::Object facts = made.facts;
  facts["ca"] = std::string(made.facts.at("ca").as_string()) + trust::make_ca("other", 10)->certificate_pem;
  const auto both = parse_enrolment(json::print(facts), made.url);
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().code, Code::refused);
}

TEST(Enrolment, it_is_refused_when_a_member_is_missing_or_bad) {
  const Spoken made = spoken();
  for (const char* member : {"ca", "trustAnchors", "idScope", "hubPort"}) {
    json::Object facts = made.facts;
    facts.erase(member);
    EXPECT_FALSE(parse_enrolment(json::print(facts), made.url)) << member;
  }
  for (const auto& [member, value] :
       {std::pair<const char*, json::Value>{"hubPort", 0}, {"hubPort", 70'000}, {"ca", "x"}, {"trustAnchors", "{}"}}) {
    json::Object facts = made.facts;
    facts[member] = value;
    EXPECT_FALSE(parse_enrolment(json::print(facts), made.url)) << member;
  }
}

TEST(Enrolment, it_becomes_a_configuration_that_the_agent_takes_whatever_its_words_are) {
  const Spoken made = spoken();
  const auto service = parse_enrolment(json::print(made.facts), made.url);
  AgentConfig config;
  auto keys = config.schema();
  const DeviceWords names{.registration_id = "sn-1", .manufacturer = "Con\"toso\\ GmbH", .model = "Toaster\n[hub]"};
  const auto loaded = keys.load_text(print_agent_toml(made.url, *service, names), "agent.toml");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(config.manufacturer, "Con\"toso\\ GmbH");
  EXPECT_EQ(config.model, "Toaster\n[hub]") << "no words become keys";
  EXPECT_EQ(config.provisioning_host, "updates.example.org");
  EXPECT_TRUE(config.is_provisioned());
}

}  // namespace
}  // namespace godwit::agent
