// Goal: what is no URI of a key is refused before OpenSSL sees it, and no sentence shows a PIN. Real tokens and TPMs:
// test/e2e/test_hardware_keys.py.
#include "device/agent/hardware_key.hpp"

#include <gtest/gtest.h>

namespace godwit::agent {
namespace {

TEST(HardwareKey, knows_the_uris_it_may_open) {
  for (const char* uri : {"pkcs11:token=a;object=b", "pkcs11:token=a%20b?pin-source=file:/etc/pin", "handle:0x81000001",
                          "handle:0x8100AbCd"})
    EXPECT_EQ(check_key_uri(uri), "") << uri;
  for (const std::string& uri :
       {std::string(), std::string("pkcs11:"), std::string("/etc/key.pem"), std::string("file:/etc/key.pem"),
        std::string("handle:0x8100000"), std::string("handle:0x810000011"), std::string("handle:0x8100000g"),
        std::string("pkcs11:token=a b"), std::string("pkcs11:token=a\n"), "pkcs11:" + std::string(1024, 'a')})
    EXPECT_NE(check_key_uri(uri), "") << uri;
}

TEST(HardwareKey, a_refused_uri_is_told_without_its_pin) {
  const auto opened = HardwareKey::open("pkcs11:token=a b?pin-value=secret");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::tls_failed);
  EXPECT_EQ(opened.error().message.find("secret"), std::string::npos) << opened.error().message;
  EXPECT_NE(opened.error().message.find("pin-value=***"), std::string::npos) << opened.error().message;
}

}  // namespace
}  // namespace godwit::agent
