// The real fetcher against a small web server on loopback.
#include "server/service/import/fetcher.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "core/base/file.hpp"

namespace godwit::service {
namespace {

std::string answer(std::string_view status, std::string_view body, std::string_view fields = {}) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

/// Answers one request after the other, each by its path.
class Web {
 public:
  Web() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Web() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  [[nodiscard]] std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  std::atomic<int> requests = 0;

 private:
  void serve() {
    for (;;) {
      UniqueFd peer{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
      if (!peer) return;
      std::string head(2048, '\0');
      const auto got = ::recv(peer.get(), head.data(), head.size(), 0);
      if (got <= 0) continue;
      ++requests;
      head.resize(static_cast<std::size_t>(got));
      const std::string path = head.substr(4, head.find(' ', 4) - 4);
      const std::string bytes = reply(path);
      (void)::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (path == "/hang") std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    }
  }
  [[nodiscard]] std::string reply(const std::string& path) const {
    if (path == "/file" || path == "/file?sig=secret") return answer("200 OK", "0123456789");
    if (path == "/moved") return answer("302 Found", "look elsewhere", "Location: /file\r\n");
    if (path == "/round") return answer("302 Found", "", "Location: /round\r\n");
    if (path == "/inward") return answer("302 Found", "", "Location: http://127.0.0.2:1/file\r\n");
    if (path == "/local") return answer("302 Found", "", "Location: file:///etc/passwd\r\n");
    if (path == "/broken") return answer("500 Internal Server Error", "0123456789");
    if (path == "/cut") return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n01234";
    if (path == "/hang") return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0";
    return answer("404 Not Found", "no");
  }

  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

struct Fetched {
  Code code = Code::ok;
  std::string bytes{};
  std::string message{};
};

Fetched fetch(const std::string& url, ByteCount expected = 10, FetchLimits limits = {.allow_private_addresses = true},
              bool is_cancelled = false) {
  Fetched fetched;
  CurlFetcher fetcher(limits);
  auto outcome = fetcher.fetch(
      url, expected,
      [&](std::string_view bytes) -> Result<void> {
        fetched.bytes += bytes;
        return {};
      },
      [is_cancelled] { return is_cancelled; });
  if (!outcome) fetched = {outcome.error().code, fetched.bytes, outcome.error().message};
  return fetched;
}

}  // namespace

TEST(CurlFetcher, brings_the_bytes_also_after_a_redirect) {
  Web web;
  EXPECT_EQ(fetch(web.url("/file")).bytes, "0123456789");
  EXPECT_EQ(fetch(web.url("/moved")).bytes, "0123456789") << "without the page of the redirect";
}

TEST(CurlFetcher, a_private_address_is_never_contacted_unless_that_is_allowed) {
  Web web;
  const auto fetched = fetch(web.url("/file"), 10, {});
  EXPECT_EQ(fetched.code, Code::refused);
  EXPECT_NE(fetched.message.find("not a public one"), std::string::npos) << fetched.message;
  EXPECT_EQ(fetch("http://localhost:1/file", 10, {}).code, Code::refused);
  EXPECT_EQ(web.requests, 0);
}

TEST(CurlFetcher, a_redirect_does_not_lead_to_a_private_address) {
  Web web;
  const auto is_first_host = [](const sockaddr& address) {
    sockaddr_in four{};
    std::memcpy(&four, &address, sizeof four);
    return ntohl(four.sin_addr.s_addr) == INADDR_LOOPBACK;
  };
  EXPECT_EQ(fetch(web.url("/file"), 10, {.is_allowed = is_first_host}).bytes, "0123456789");
  EXPECT_EQ(fetch(web.url("/inward"), 10, {.is_allowed = is_first_host}).code, Code::refused);
  EXPECT_EQ(fetch(web.url("/inward"), 10).code, Code::unavailable) << "nobody listens there";
}

// Goal: a name that leads elsewhere at each look-up (DNS rebinding) gains nothing, because the address of each
// connection is judged, and not the name beforehand.
TEST(CurlFetcher, the_address_that_was_judged_is_the_one_that_is_contacted) {
  Web web;
  int judged = 0;
  const FetchLimits limits{.is_allowed = [&judged](const sockaddr&) { return ++judged == 1; }};
  EXPECT_EQ(fetch(web.url("/moved"), 10, limits).code, Code::refused) << "the second connection is judged anew";
  EXPECT_EQ(judged, 2);
  EXPECT_EQ(web.requests, 1);
}

TEST(CurlFetcher, size_is_held_to_what_was_announced) {
  Web web;
  EXPECT_EQ(fetch(web.url("/file"), 9).code, Code::too_large);
  EXPECT_EQ(fetch(web.url("/file"), 11).code, Code::size_mismatch);
  EXPECT_EQ(fetch(web.url("/cut")).code, Code::size_mismatch);
}

TEST(CurlFetcher, other_statuses_schemes_and_endless_redirects_are_errors) {
  Web web;
  EXPECT_EQ(fetch(web.url("/nothing"), 2).code, Code::not_found);
  EXPECT_EQ(fetch(web.url("/broken")).code, Code::unavailable);
  EXPECT_EQ(fetch(web.url("/broken")).bytes, "");
  EXPECT_EQ(fetch(web.url("/round")).code, Code::unavailable);
  EXPECT_EQ(fetch(web.url("/local")).code, Code::refused);
  EXPECT_EQ(fetch("file:///etc/passwd").code, Code::refused);
  EXPECT_EQ(fetch("http://127.0.0.1:1/").code, Code::unavailable);
}

TEST(CurlFetcher, it_ends_in_time_and_when_asked_to) {
  Web web;
  EXPECT_EQ(fetch(web.url("/hang"), 10, {.allow_private_addresses = true, .whole_time = Duration(200)}).code,
            Code::timed_out);
  EXPECT_EQ(fetch(web.url("/file"), 10, {.allow_private_addresses = true}, true).code, Code::cancelled);
}

TEST(CurlFetcher, an_error_of_the_sink_is_the_outcome) {
  Web web;
  CurlFetcher fetcher({.allow_private_addresses = true});
  const auto outcome = fetcher.fetch(
      web.url("/file"), 10, [](std::string_view) -> Result<void> { return fail(Code::disk_full, "no space"); },
      [] { return false; });
  EXPECT_EQ(outcome.error().code, Code::disk_full);
}

TEST(CurlFetcher, keys_in_a_url_are_not_told) {
  Web web;
  const auto fetched = fetch(web.url("/file?sig=secret"), 9);
  EXPECT_EQ(fetched.code, Code::too_large);
  EXPECT_EQ(fetched.message.find("secret"), std::string::npos) << fetched.message;
  EXPECT_EQ(printable_url("https://user:pw@host:1/a/b?sig=x#y"), "https://host:1/a/b");
  EXPECT_EQ(printable_url("https://host/a@b"), "https://host/a@b");
}

}  // namespace godwit::service
