// Goal: heads of HTTP answers are taken apart exactly, and whatever else comes is refused. faults: 29
#include "device/agent/http_answer.hpp"

#include <gtest/gtest.h>

#include "device/agent/http_date.hpp"

namespace godwit::agent {
namespace {

TEST(HttpAnswer, gives_status_reason_and_fields_in_any_case) {
  const auto answer = parse_http_answer(
      "HTTP/1.1 407 Proxy Authentication Required\r\nSERVER: a\r\nConnection: keep-alive\r\nconnection:\tUpgrade \r\n"
      "Empty:\r\n\r\n");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 407);
  EXPECT_EQ(answer->reason, "Proxy Authentication Required");
  EXPECT_EQ(answer->field("connection"), "keep-alive, Upgrade");
  EXPECT_EQ(answer->field("server"), "a");
  EXPECT_EQ(answer->field("empty"), "");
  EXPECT_EQ(answer->field("other"), "");
  EXPECT_TRUE(parse_http_answer("HTTP/1.0 200\r\n\r\n")) << "without a reason";
}

TEST(HttpAnswer, refuses_what_is_none) {
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 101; ++i) many += "f" + std::to_string(i) + ": x\r\n";
  for (const std::string& head :
       {std::string(), std::string("\r\n\r\n"), std::string("HTTP/1.1 200 OK\r\n"),
        std::string("HTTP/2 200 OK\r\n\r\n"), std::string("HTTP/1.1 2x0 OK\r\n\r\n"),
        std::string("HTTP/1.1 099 OK\r\n\r\n"), std::string("HTTP/1.1 2000 OK\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nno field\r\n\r\n"), std::string("HTTP/1.1 200 OK\r\na : b\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\n: b\r\n\r\n"), std::string("HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\na: \x01\r\n\r\n"), std::string("HTTP/1.1 200 O\x1bK\r\n\r\n"),
        std::string("<html>login here</html>\r\n\r\n"), many + "\r\n",
        "HTTP/1.1 200 OK\r\na: " + std::string(kHttpHeadLimit, 'x') + "\r\n\r\n"})
    EXPECT_FALSE(parse_http_answer(head)) << head.substr(0, 60);
}

TEST(HttpDate, reads_the_form_that_is_sent_today_and_nothing_else) {
  const auto date = parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
  ASSERT_TRUE(date);
  EXPECT_EQ(format_time(*date), "1994-11-06T08:49:37.000Z");
  for (const char* text :
       {"", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Now 1994 08:49:37 GMT", "Sun, 36 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:99:37 GMT"})
    EXPECT_FALSE(parse_http_date(text)) << text;
}

}  // namespace
}  // namespace godwit::agent
