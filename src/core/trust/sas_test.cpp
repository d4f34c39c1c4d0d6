#include "core/trust/sas.hpp"

#include <gtest/gtest.h>

#include "core/base/bytes.hpp"

namespace godwit::trust {
namespace {

constexpr std::string_view kKey = "dev1-key-dev1-key-dev1-key-dev1!";
constexpr std::string_view kSignature =
    "UtlquzUQR%2BUw16VhbkHK8YHOINZomd31zbDJK0blNVU%3D";  // made independently, with Python's hmac
constexpr std::string_view kScope = "contoso-test.azure-devices.net/devices/dev1";

std::string token(std::string_view parameters) { return "SharedAccessSignature " + std::string(parameters); }
const std::string kGood =
    token("sr=contoso-test.azure-devices.net%2Fdevices%2Fdev1&sig=" + std::string(kSignature) + "&se=1893456000");

TEST(Sas, making_gives_the_known_signature) { EXPECT_EQ(make_sas(kScope, kKey, 1893456000), kGood); }

TEST(Sas, parameters_may_stand_in_any_order) {
  const SasToken parsed = parse_sas(token("skn=&se=1893456000&x=y&sig=" + std::string(kSignature) +
                                          "&sr=contoso-test.azure-devices.net%2Fdevices%2Fdev1"))
                              .value();
  EXPECT_EQ(parsed.scope, kScope);
  EXPECT_EQ(parsed.expiry, 1893456000);
  EXPECT_EQ(parsed.policy, "");
  EXPECT_TRUE(sas_signature_holds(parsed, kKey));
}

TEST(Sas, the_signature_is_over_the_raw_scope_text) {
  // A client that does not encode the scope signs another text for the same scope.
  const SasToken encoded = parse_sas(kGood).value();
  SasToken raw = encoded;
  raw.scope_raw = std::string(kScope);
  EXPECT_TRUE(sas_signature_holds(encoded, kKey));
  EXPECT_FALSE(sas_signature_holds(raw, kKey));
}

TEST(Sas, another_key_scope_or_expiry_does_not_hold) {
  SasToken parsed = parse_sas(kGood).value();
  EXPECT_FALSE(sas_signature_holds(parsed, "other"));
  EXPECT_FALSE(sas_signature_holds(parsed, ""));
  parsed.expiry += 1;
  EXPECT_FALSE(sas_signature_holds(parsed, kKey));
}

TEST(Sas, a_policy_survives_the_round_trip) {
  const SasToken parsed = parse_sas(make_sas("myhub.example", kKey, 42, "iothub owner")).value();
  EXPECT_EQ(parsed.policy, "iothub owner");
  EXPECT_TRUE(sas_signature_holds(parsed, kKey));
}

TEST(Sas, malformed_tokens_are_refused_without_repeating_them) {
  const std::string sig = "sig=" + std::string(kSignature);
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"", "begin"},
      {"Bearer abc", "begin"},
      {token(sig + "&se=1"), "no sr"},
      {token("sr=&" + sig + "&se=1"), "no sr"},
      {token("sr=a&se=1"), "no sig"},
      {token("sr=a&" + sig), "no se"},
      {token("sr=a&sr=b&" + sig + "&se=1"), "sr twice"},
      {token("sr=a&" + sig + "&se=01"), "se that"},
      {token("sr=a&" + sig + "&se=-1"), "se that"},
      {token("sr=a&" + sig + "&se=1x"), "se that"},
      {token("sr=a&" + sig + "&se=99999999999999999999"), "se that"},
      {token("sr=a%2&" + sig + "&se=1"), "sr that"},
      {token("sr=a&sig=AAAA&se=1"), "32 bytes"},
      {token("sr=a&sig=%%%&se=1"), "32 bytes"},
      {token("sr&" + sig + "&se=1"), "without '='"},
      {token("sr=" + std::string(5000, 'a')), "longer"},
  };
  for (const auto& [text, fragment] : rows) {
    const auto parsed = parse_sas(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Code::unauthorized);
    EXPECT_NE(parsed.error().message.find(fragment), std::string::npos) << text << ": " << parsed.error().message;
    EXPECT_EQ(parsed.error().message.find(kSignature), std::string::npos);
  }
}

TEST(Sas, the_key_of_a_device_follows_from_the_key_of_its_group) {
  // The vector that the documentation of the original publishes.
  const Bytes group_key =
      base64_decode("8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==").value();
  EXPECT_EQ(base64_encode(derive_device_key(group_key, "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6")),
            "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
}

}  // namespace
}  // namespace godwit::trust
