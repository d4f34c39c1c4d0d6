#include "server/api/http_parser.hpp"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

struct Parsed {
  std::vector<Head> heads;
  std::vector<std::string> bodies;
  std::string rest;
  int problem = 0;
  std::string message;
};

/// Runs `bytes` through a parser in pieces of `step`, message after message.
Parsed parse(std::string_view bytes, std::size_t step = 1 << 20, ByteCount limit = 1000) {
  Parsed parsed;
  HttpParser parser;
  std::string body;
  std::string input;
  while (true) {
    const auto used = parser.feed(input);
    if (!used) {
      parsed.problem = used.error().status;
      parsed.message = used.error().message;
      return parsed;
    }
    const bool was_head = parser.has_head() && parsed.heads.size() == parsed.bodies.size();
    input.erase(0, *used);
    if (was_head) {
      parsed.heads.push_back(parser.head());
      parser.take_body(limit, [&body](std::string_view piece) { body.append(piece); });
    }
    if (parser.is_done()) {
      parsed.bodies.push_back(body);
      body.clear();
      parser.reset();
      continue;
    }
    if (was_head || *used > 0) continue;
    if (bytes.empty()) break;
    input.append(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  parsed.rest = input;
  return parsed;
}

TEST(HttpParser, reads_pipelined_requests_one_by_one_in_any_cut) {
  const std::string bytes =
      "PUT /devices/a?x=1 HTTP/1.1\r\nHost: h\r\nX-Thing: 1\r\nx-thing: 2\r\nContent-Length: 5\r\n\r\nhello"
      "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nTrailer: "
      "x\r\n\r\n"
      "GET /c HTTP/1.0\r\n\r\n";
  for (const std::size_t step : {1U, 2U, 7U, 1000U}) {
    const Parsed parsed = parse(bytes, step);
    ASSERT_EQ(parsed.problem, 0) << parsed.message;
    ASSERT_EQ(parsed.heads.size(), 3U) << step;
    EXPECT_EQ(parsed.heads[0].method, Method::put);
    EXPECT_EQ(parsed.heads[0].target, "/devices/a?x=1");
    EXPECT_EQ(parsed.heads[0].header("x-thing"), "1, 2");
    EXPECT_EQ(parsed.heads[0].content_length, 5U);
    EXPECT_TRUE(parsed.heads[0].is_keep_alive);
    EXPECT_EQ(parsed.bodies[0], "hello");
    EXPECT_TRUE(parsed.heads[1].is_chunked);
    EXPECT_EQ(parsed.bodies[1], "abcdefg");
    EXPECT_FALSE(parsed.heads[1].headers.contains("trailer"));
    EXPECT_FALSE(parsed.heads[2].is_keep_alive) << "HTTP/1.0 closes unless asked otherwise";
  }
}

// Shapes that another parser on the way could read as a different number of requests.
TEST(HttpParser, refuses_the_shapes_of_request_smuggling) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\n";
  for (const std::string& fields : {std::string("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
                                    std::string("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
                                    std::string("Content-Length: 5\r\nContent-Length: 6\r\n"),
                                    std::string("Content-Length: 5\r\nContent-Length: 5\r\n"),
                                    std::string("Content-Length: 5, 5\r\n"),
                                    std::string("Content-Length: +5\r\n"),
                                    std::string("Content-Length: -5\r\n"),
                                    std::string("Content-Length: 0x5\r\n"),
                                    std::string("Content-Length: \r\n"),
                                    std::string("Content-Length: 99999999999999999999\r\n"),
                                    std::string("Transfer-Encoding: gzip, chunked\r\n"),
                                    std::string("Transfer-Encoding: chunked, identity\r\n"),
                                    std::string("Transfer-Encoding: xchunked\r\n"),
                                    std::string("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                                    std::string("Transfer-Encoding : chunked\r\n"),
                                    std::string("Transfer-Encoding\r\n"),
                                    std::string("Host: other\r\n"),
                                    std::string(" folded: 1\r\n"),
                                    std::string("Bad\x01Name: 1\r\n"),
                                    std::string("Nul: a\0b\r\n", 10)}) {
    const Parsed parsed = parse(head + fields + "\r\n5\r\nhello\r\n0\r\n\r\n");
    EXPECT_GE(parsed.problem, 400) << fields;
    EXPECT_TRUE(parsed.bodies.empty()) << fields;
  }
}

TEST(HttpParser, refuses_broken_request_lines) {
  for (const char* line :
       {"GET /\r\n\r\n", "GET / HTTP/1.1\n\n", "G@T / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "GET / http/1.1\r\nHost: h\r\n\r\n",
        "\x16\x03\x01\x02 / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"}) {
    // A bare LF never ends a head, so that one only waits.
    const Parsed parsed = parse(line);
    EXPECT_TRUE(parsed.problem == 400 || parsed.problem == 505 || (parsed.problem == 0 && parsed.heads.empty()))
        << line << parsed.problem;
  }
  EXPECT_EQ(parse("GET / HTTP/2.0\r\nHost: h\r\n\r\n").problem, 505);
  EXPECT_EQ(parse("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n").problem, 501);
  EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: h\r\nExpect: a-miracle\r\n\r\n").problem, 417);
}

TEST(HttpParser, the_head_and_the_number_of_fields_have_limits) {
  EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(17000, 'a') + "\r\n\r\n").problem, 431);
  EXPECT_EQ(parse("GET /" + std::string(20000, 'a'), 100).problem, 431) << "known before the line ends";
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 64; ++i) many += "X" + std::to_string(i) + ": 1\r\n";
  EXPECT_EQ(parse(many + "\r\n").problem, 431);
}

TEST(HttpParser, a_chunked_body_over_the_limit_is_refused_when_the_chunk_is_announced) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(parse(head + "a\r\n0123456789\r\n0\r\n\r\n", 1000, 10).bodies.size(), 1U);
  EXPECT_EQ(parse(head + "b\r\n", 1000, 10).problem, 413);
  EXPECT_EQ(parse(head + "a\r\n0123456789\r\n1\r\n", 1000, 10).problem, 413);
  EXPECT_EQ(parse(head + "ffffffffffffffffff\r\n", 1000, 10).problem, 400);
  EXPECT_GE(parse(head + "zz\r\n", 1000, 10).problem, 400);
}

}  // namespace
}  // namespace godwit::api
