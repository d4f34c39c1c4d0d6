// Goal: the right proxy is chosen, asked in the right words, and its refusals say what to do.
#include "device/agent/proxy.hpp"

#include <gtest/gtest.h>

#include "core/base/testing/temp_folder.hpp"

namespace godwit::agent {
namespace {

std::string chosen(const ProxyRules& rules, const std::string& host = "hub.example") {
  const auto proxy = proxy_for(rules, host);
  if (!proxy) return proxy.error().message;
  if (!*proxy) return "direct";
  return (*proxy)->host + " " + (*proxy)->port + " " + (*proxy)->authorization.reveal();
}

TEST(Proxy, comes_from_the_configuration_before_the_environment) {
  const ProxyRules both{.url = "http://one:3128", .environment_url = "http://two:8080", .exceptions = "hub.example"};
  EXPECT_EQ(chosen(both), "one 3128 ") << "no_proxy speaks of the environment's proxy only";
  EXPECT_EQ(chosen({.environment_url = "http://two:8080"}), "two 8080 ");
  EXPECT_EQ(chosen({.environment_url = "http://two:8080", .exceptions = "other.example, hub.example"}), "direct");
  EXPECT_EQ(chosen({.url = "none", .environment_url = "http://two:8080"}), "direct");
  EXPECT_EQ(chosen({}), "direct");
}

TEST(Proxy, reads_urls_as_people_write_them) {
  EXPECT_EQ(chosen({.url = "proxy.example"}), "proxy.example 80 ");
  EXPECT_EQ(chosen({.url = "HTTP://proxy.example:8080/"}), "proxy.example 8080 ");
  EXPECT_EQ(chosen({.url = "http://[fd00::1]:3128"}), "fd00::1 3128 ");
  EXPECT_EQ(chosen({.url = "http://aladdin:open%20sesame@p:1"}), "p 1 Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

TEST(Proxy, refuses_what_is_no_proxy_without_repeating_a_password) {
  for (const char* url :
       {"https://u:hush@p", "socks5://u:hush@p", "http://u:hush@", "http://u:hush@p:0", "http://u:hush@p:70000",
        "http://u:hush@p:x", "http://u:hush%2@p", "http://u:hush@[fd00::1"}) {
    const std::string said = chosen({.url = url});
    EXPECT_NE(said.find("connection.proxy: "), std::string::npos) << said;
    EXPECT_EQ(said.find("hush"), std::string::npos) << said;
  }
}

TEST(Proxy, takes_credentials_from_a_file) {
  const TempFolder folder;
  const Path file = folder.path() / "proxy";
  const ProxyRules rules{.url = "http://p:1", .credentials_file = file};
  EXPECT_NE(chosen(rules).find(file.string()), std::string::npos);
  ASSERT_TRUE(write_file_durably(file, "user:pass:word\n"));
  EXPECT_EQ(chosen(rules), "p 1 Basic " + base64_encode("user:pass:word"));
  for (const char* text : {"", "user", "user:a\nX-Header: b"}) {
    ASSERT_TRUE(write_file_durably(file, text));
    EXPECT_NE(chosen(rules).find("user:password"), std::string::npos) << text;
  }
}

TEST(Proxy, knows_the_exceptions_of_no_proxy) {
  struct Row {
    const char* exceptions;
    const char* host;
    bool is_exception;
  };
  for (const auto& [exceptions, host, wanted] :
       {Row{"example", "hub.example", true}, Row{".example", "hub.example", true},
        Row{"*.example", "HUB.example", true}, Row{"hub.example", "hub.example", true},
        Row{"ub.example", "hub.example", false}, Row{"", "hub.example", false},
        Row{"other hub.example", "hub.example", true}, Row{"*", "anything", true}, Row{"10.0.0.0/8", "10.1.2.3", true},
        Row{"10.0.0.0/8", "11.1.2.3", false}, Row{"10.0.0.0/33", "10.1.2.3", false}, Row{"10.1.2.3", "10.1.2.3", true},
        Row{"fd00::/8", "fdab::1", true}, Row{"[::1]", "::1", true}, Row{"fd00::/8", "10.1.2.3", false},
        Row{"0.0.0.0/0", "192.168.1.1", true}, Row{"0.0.0.0/0", "::1", false}, Row{",,", "hub.example", false}})
    EXPECT_EQ(is_exception(exceptions, host), wanted) << exceptions << " " << host;
}

TEST(Proxy, is_asked_for_one_host_and_port) {
  EXPECT_EQ(connect_request({.host = "p", .port = "1"}, "hub.example", "8883"),
            "CONNECT hub.example:8883 HTTP/1.1\r\nHost: hub.example:8883\r\n\r\n");
  EXPECT_EQ(connect_request({.host = "p", .port = "1", .authorization = Secret("Basic eA==")}, "fd00::1", "443"),
            "CONNECT [fd00::1]:443 HTTP/1.1\r\nHost: [fd00::1]:443\r\nProxy-Authorization: Basic eA==\r\n\r\n");
}

TEST(Proxy, a_refusal_names_what_to_do) {
  EXPECT_TRUE(check_connect_answer("HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n"));
  struct Row {
    const char* status;
    Code code;
    const char* word;
  };
  for (const auto& [status, code, word] :
       {Row{"407 Proxy Authentication Required", Code::refused, "credentials"},
        Row{"401 Unauthorized", Code::refused, "credentials"}, Row{"403 Forbidden", Code::refused, "443"},
        Row{"405 No", Code::refused, "websocket"}, Row{"503 Busy", Code::unavailable, "no time"},
        Row{"502 Bad Gateway", Code::network_failed, "reach"}, Row{"504 Timeout", Code::network_failed, "reach"},
        Row{"302 Found", Code::refused, "302"}, Row{"99 Odd", Code::bad_packet, "no HTTP"}}) {
    const auto answer = check_connect_answer(std::string("HTTP/1.1 ") + status + "\r\n\r\n");
    ASSERT_FALSE(answer) << status;
    EXPECT_EQ(answer.error().code, code) << status;
    EXPECT_NE(answer.error().message.find(word), std::string::npos) << answer.error().message;
  }
}

}  // namespace
}  // namespace godwit::agent
