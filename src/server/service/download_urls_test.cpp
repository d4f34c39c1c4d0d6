#include "server/service/download_urls.hpp"

#include <gtest/gtest.h>

namespace godwit::service {
namespace {

using std::chrono::hours;

struct Parts {
  std::string path;
  std::string expiry;
  std::string signature;
};

Parts split(const std::string& url) {
  const auto query = url.find("?se=");
  const auto signature = url.find("&sig=");
  return {url.substr(0, query), url.substr(query + 4, signature - query - 4), url.substr(signature + 5)};
}

class Urls : public testing::Test {
 protected:
  FakeClock clock;
  DownloadUrls urls{"https://host:8443", Secret{std::string(32, 'k')}, hours(8)};
  Bytes digest = sha256("payload");
  std::string hex = hex_encode(digest);
};

}  // namespace

TEST_F(Urls, a_link_checks_until_it_expires) {
  const auto parts = split(urls.payload(digest, "my file.bin", clock.now()));
  EXPECT_EQ(parts.path, "https://host:8443/download/" + hex + "/my%20file.bin");
  EXPECT_EQ(urls.check(hex, parts.expiry, parts.signature, clock.now()).value(), digest);
  EXPECT_TRUE(urls.check(hex, parts.expiry, parts.signature, clock.now() + hours(8) - std::chrono::seconds(1)));
  const auto late = urls.check(hex, parts.expiry, parts.signature, clock.now() + hours(8));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::forbidden);
  EXPECT_NE(late.error().message.find("expired"), std::string::npos);
}

TEST_F(Urls, no_part_of_a_link_can_be_changed) {
  const auto parts = split(urls.payload(digest, "a", clock.now()));
  const std::string later = std::to_string(std::stoll(parts.expiry) + 1);
  EXPECT_EQ(urls.check(hex, later, parts.signature, clock.now()).error().code, Code::forbidden);
  EXPECT_EQ(urls.check(hex_encode(sha256("other")), parts.expiry, parts.signature, clock.now()).error().code,
            Code::forbidden);
  std::string forged = parts.signature;
  forged[0] = forged[0] == 'A' ? 'B' : 'A';
  EXPECT_EQ(urls.check(hex, parts.expiry, forged, clock.now()).error().code, Code::forbidden);
  EXPECT_EQ(urls.check(hex, parts.expiry, "", clock.now()).error().code, Code::forbidden);
  const DownloadUrls others{"https://host:8443", Secret{std::string(32, 'x')}, hours(8)};
  EXPECT_EQ(others.check(hex, parts.expiry, parts.signature, clock.now()).error().code, Code::forbidden);
}

TEST_F(Urls, broken_parts_are_named) {
  EXPECT_EQ(urls.check("abc", "1", "x", clock.now()).error().code, Code::invalid_argument);
  EXPECT_EQ(urls.check(std::string(64, 'z'), "1", "x", clock.now()).error().code, Code::invalid_argument);
  for (const char* expiry : {"", "soon", "12x", "-5", "99999999999999999999"})
    EXPECT_EQ(urls.check(hex, expiry, "x", clock.now()).error().code, Code::invalid_argument) << expiry;
  EXPECT_EQ(urls.check(hex, "1", std::string(100, 'a'), clock.now()).error().code, Code::invalid_argument);
}

TEST_F(Urls, the_root_key_package_has_a_plain_address) {
  EXPECT_EQ(urls.root_key_package(3), "https://host:8443/rootkeys/rootkeypackage-3.json");
  EXPECT_EQ(DownloadUrls::root_key_package_version("rootkeypackage-3.json"), 3);
  for (const char* other : {"rootkeypackage-0.json", "rootkeypackage--1.json", "rootkeypackage-.json",
                            "rootkeypackage-1", "rootkeypackage.json", "-1.json", "rootkeypackage-1x.json", ""})
    EXPECT_EQ(DownloadUrls::root_key_package_version(other), std::nullopt) << other;
}

}  // namespace godwit::service
