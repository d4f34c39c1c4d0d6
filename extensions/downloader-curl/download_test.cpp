// Goal:   whatever a server, a proxy or a cut line does, the file is right or the answer says what was wrong, and a
// part that
//         may be kept is continued.
// Method: a small server that speaks exactly the bytes each test wants; a real TLS server of openssl for the
// certificates.
#include "download.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/model/outcome.hpp"
#include "core/trust/certificates.hpp"
#include "device/extension/process.hpp"
#include "device/extension/testing/test_extensions.hpp"
#include "test_server.hpp"

namespace godwit::downloader_curl {
namespace {

std::string head(const std::string& status, std::size_t length, const std::string& more = "") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(length) + "\r\nConnection: close\r\n" + more +
         "\r\n";
}
const std::string kTag = "ETag: \"v1\"\r\n";

class Download : public ::testing::Test {
 protected:
  DownloadAnswer get(const std::string& url, std::uint64_t resume_offset = 0) {
    request_.url = url;
    request_.resume_offset = resume_offset;
    return download(request_, {.on_progress = [this](std::uint64_t done, std::uint64_t) { progress_.push_back(done); },
                               .is_cancelled = [this] { return is_cancelled_.load(); }});
  }
  DownloadAnswer get(HttpServer& server, std::uint64_t resume_offset = 0) { return get(server.url(), resume_offset); }
  std::string file() const { return read_file(request_.target, 100'000'000).value_or("<none>"); }
  std::string meta() const { return read_file(Path(request_.target.string() + ".meta"), 1000).value_or("<none>"); }
  void put_part(std::size_t size, const std::string& validator) {
    ASSERT_TRUE(write_file_durably(request_.target, content_.substr(0, size)));
    const Path meta = request_.target.string() + ".meta";
    ASSERT_TRUE(validator.empty() ? remove_tree(meta) : write_file_durably(meta, "{\"validator\":" + validator + "}"));
  }
  /// Serves ranges as it should be done.
  void serve(int fd, const std::string& request, const std::string& more = kTag) const {
    const auto range = request.find("Range: bytes=");
    if (range == std::string::npos) return HttpServer::send(fd, head("200 OK", content_.size(), more) + content_);
    const std::size_t from = std::stoul(request.substr(range + 13));
    HttpServer::send(
        fd, head("206 Partial Content", content_.size() - from,
                 more + "Content-Range: bytes " + std::to_string(from) + "-" + std::to_string(content_.size() - 1) +
                     "/" + std::to_string(content_.size()) + "\r\n") +
                content_.substr(from));
  }

  extension::testing::TemporaryFolder folder_;
  std::string content_ = content(1'234'567);
  DownloadRequest request_{
      .url = "", .target = folder_ / "file.part", .expected_size = 1'234'567, .options = {.allow_http = true}};
  std::vector<std::uint64_t> progress_;
  std::atomic<bool> is_cancelled_ = false;
};

TEST_F(Download, a_whole_file_arrives_and_nothing_else_stays) {
  HttpServer server([&](int fd, const std::string& request, int) { serve(fd, request); });
  const auto answer = get(server);
  EXPECT_EQ(answer.result_code, 500) << answer.details;
  EXPECT_EQ(answer.http_status, 200);
  EXPECT_EQ(answer.bytes_received, content_.size());
  EXPECT_TRUE(file() == content_);
  EXPECT_EQ(meta(), "<none>");
  EXPECT_EQ(progress_.back(), content_.size());
  EXPECT_NE(server.requests()[0].find("Accept-Encoding: identity"), std::string::npos);
}

TEST_F(Download, a_part_is_continued_if_it_is_still_the_same_file) {
  put_part(500'001, R"("\"v1\"")");
  HttpServer server([&](int fd, const std::string& request, int) { serve(fd, request); });
  const auto answer = get(server, 500'001);
  EXPECT_EQ(answer.result_code, 500) << answer.details;
  EXPECT_TRUE(answer.was_resumed);
  EXPECT_EQ(answer.bytes_received, content_.size() - 500'001);
  EXPECT_TRUE(file() == content_);
  EXPECT_NE(server.requests()[0].find("Range: bytes=500001-"), std::string::npos);
  EXPECT_NE(server.requests()[0].find("If-Range: \"v1\""), std::string::npos);
}

TEST_F(Download, only_what_may_be_kept_is_kept) {
  put_part(600'000, "");
  HttpServer server([&](int fd, const std::string& request, int) { serve(fd, request); });
  const auto answer = get(server, 1000);
  EXPECT_EQ(answer.result_code, 500) << answer.details;
  EXPECT_EQ(answer.bytes_received, content_.size() - 1000);
  EXPECT_TRUE(file() == content_);
}

TEST_F(Download, what_is_there_whole_is_not_asked_for_and_leaves_no_mark) {
  put_part(content_.size(), R"("\"v1\"")");
  HttpServer server([&](int fd, const std::string& request, int) { serve(fd, request); });
  const auto answer = get(server, content_.size());
  EXPECT_EQ(answer.result_code, 500) << answer.details;
  EXPECT_TRUE(server.requests().empty());
  EXPECT_EQ(answer.file_size, content_.size());
  EXPECT_EQ(meta(), "<none>");
}

// faults: 26
TEST_F(Download, a_server_that_ignores_the_range_gets_a_fresh_start) {
  ASSERT_TRUE(write_file_durably(request_.target, std::string(500'000, 'x')));
  HttpServer server(
      [&](int fd, const std::string&, int) { HttpServer::send(fd, head("200 OK", content_.size(), kTag) + content_); });
  const auto answer = get(server, 500'000);
  EXPECT_EQ(answer.result_code, 500) << answer.details;
  EXPECT_FALSE(answer.was_resumed);
  EXPECT_TRUE(file() == content_);
}

// faults: 26
TEST_F(Download, a_wrong_range_another_tag_and_416_start_over) {
  const std::string other_range = "Content-Range: bytes 7-1234566/1234567\r\n";
  const std::string other_total = "Content-Range: bytes 500000-1234566/9999999\r\n";
  const std::string right = "Content-Range: bytes 500000-1234566/1234567\r\n";
  for (const std::string& first :
       {head("206 Partial Content", 1'234'560, kTag + other_range) + content_.substr(7),
        head("206 Partial Content", 734'567, kTag + other_total) + content_.substr(500'000),
        head("206 Partial Content", 734'567, "ETag: \"v2\"\r\n" + right) + content_.substr(500'000),
        head("206 Partial Content", 734'567, kTag) + content_.substr(500'000),
        head("416 Range Not Satisfiable", 0, "Content-Range: bytes */1234567\r\n")}) {
    put_part(500'000, R"("\"v1\"")");
    HttpServer server([&](int fd, const std::string& request, int number) {
      if (number == 0)
        HttpServer::send(fd, first);
      else
        serve(fd, request);
    });
    const auto answer = get(server, 500'000);
    EXPECT_EQ(answer.result_code, 500) << answer.details;
    EXPECT_TRUE(file() == content_) << first.substr(0, 200);
    ASSERT_EQ(server.requests().size(), 2U);
    EXPECT_EQ(server.requests()[1].find("Range:"), std::string::npos);
  }
}

// faults: 23, 24
TEST_F(Download, a_cut_line_is_worth_another_try_which_continues) {
  HttpServer server([&](int fd, const std::string& request, int number) {
    if (number == 0)
      HttpServer::send(fd, head("200 OK", content_.size(), kTag) + content_.substr(0, 400'000));
    else
      serve(fd, request);
  });
  const auto cut = get(server);
  EXPECT_EQ(cut.result_code, 0);
  EXPECT_TRUE(cut.is_retryable);
  EXPECT_EQ(cut.extended_code, 0x40301012U) << "curl error 18";
  EXPECT_EQ(cut.file_size, 400'000U);
  EXPECT_NE(meta().find("v1"), std::string::npos);
  const auto again = get(server, cut.file_size);
  EXPECT_EQ(again.result_code, 500) << again.details;
  EXPECT_TRUE(again.was_resumed);
  EXPECT_TRUE(file() == content_);
}

// faults: 21
TEST_F(Download, never_more_than_the_expected_size_is_written) {
  std::atomic<std::size_t> sent = 0;
  HttpServer server([&](int fd, const std::string&, int) {
    HttpServer::send(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    const std::string block(100'000, 'x');
    for (int i = 0; i < 2000; ++i) {
      if (::send(fd, block.data(), block.size(), MSG_NOSIGNAL) <= 0) return;
      sent += block.size();
    }
  });
  const auto answer = get(server);
  EXPECT_EQ(answer.extended_code, erc::download_size) << answer.details;
  EXPECT_FALSE(answer.is_retryable);
  EXPECT_LE(file().size(), content_.size());
  EXPECT_LT(sent, 100'000'000U) << "the download went on";
}

// faults: 29
TEST_F(Download, a_page_in_place_of_the_file_is_refused_before_it_is_written) {
  put_part(1000, R"("\"v1\"")");
  HttpServer server([&](int fd, const std::string&, int) {
    HttpServer::send(fd, head("200 OK", 30) + "<html>please log in here</html");
  });
  const auto answer = get(server, 1000);
  EXPECT_EQ(answer.extended_code, erc::download_size) << answer.details;
  EXPECT_EQ(file().size(), 1000U) << "the part is still good";
}

TEST_F(Download, a_file_of_unknown_size_has_the_limit_of_the_options) {
  request_.expected_size.reset();
  request_.options.size_limit = 2'000'000;
  HttpServer server([&](int fd, const std::string& request, int) { serve(fd, request); });
  EXPECT_EQ(get(server).result_code, 500);
  EXPECT_TRUE(file() == content_);
  request_.options.size_limit = 1'000'000;
  EXPECT_EQ(get(server).extended_code, erc::download_size);
}

TEST_F(Download, an_empty_file_is_a_file) {
  request_.expected_size = 0;
  HttpServer server([&](int fd, const std::string&, int) { HttpServer::send(fd, head("200 OK", 0)); });
  EXPECT_EQ(get(server).result_code, 500);
  EXPECT_EQ(file(), "");
}

// faults: 28
TEST_F(Download, a_status_says_whether_another_try_is_worth_it) {
  struct Case {
    std::string status;
    bool retryable;
  };
  for (const Case& c : {Case{"404 Not Found", false}, Case{"403 Forbidden", false}, Case{"410 Gone", false},
                        Case{"429 Too Many Requests", true}, Case{"503 Service Unavailable", true},
                        Case{"500 Oops", true}, Case{"501 Not Implemented", false}, Case{"304 Not Modified", false}}) {
    HttpServer server([&](int fd, const std::string&, int) {
      HttpServer::send(fd, head(c.status, 5, "Retry-After: 77\r\n") + "sorry");
    });
    const auto answer = get(server);
    EXPECT_EQ(answer.result_code, 0) << c.status;
    EXPECT_EQ(answer.is_retryable, c.retryable) << c.status;
    EXPECT_EQ(answer.extended_code, 0x40301016U) << c.status;
    EXPECT_EQ(answer.retry_after_seconds, 77) << c.status;
    EXPECT_EQ(std::to_string(answer.http_status), c.status.substr(0, 3));
    EXPECT_EQ(file(), "") << "the error page is not the file";
  }
}

// faults: 27
TEST_F(Download, redirects_are_followed_a_few_times_and_only_to_the_web) {
  HttpServer good([&](int fd, const std::string& request, int) {
    if (request.starts_with("GET /file "))
      HttpServer::send(fd, head("302 Found", 4, "Location: /other\r\n") + "gone");
    else
      serve(fd, request);
  });
  EXPECT_EQ(get(good).result_code, 500);
  EXPECT_TRUE(file() == content_);
  HttpServer loop(
      [&](int fd, const std::string&, int) { HttpServer::send(fd, head("301 Moved", 0, "Location: /file\r\n")); });
  const auto looped = get(loop);
  EXPECT_EQ(looped.extended_code, 0x4030102FU) << looped.details;
  EXPECT_FALSE(looped.is_retryable);
  EXPECT_EQ(loop.requests().size(), 6U);
  HttpServer local([&](int fd, const std::string&, int) {
    HttpServer::send(fd, head("302 Found", 0, "Location: file:///etc/hostname\r\n"));
  });
  EXPECT_EQ(get(local).extended_code, 0x40301001U);
}

TEST_F(Download, an_encoded_file_is_refused) {
  HttpServer server([&](int fd, const std::string&, int) {
    HttpServer::send(fd, head("200 OK", content_.size(), "Content-Encoding: gzip\r\n") + content_);
  });
  const auto answer = get(server);
  EXPECT_EQ(answer.result_code, 0);
  EXPECT_NE(answer.details.find("gzip"), std::string::npos) << answer.details;
}

// faults: 22
TEST_F(Download, a_server_that_dawdles_is_given_up_and_a_cancel_is_quick) {
  request_.options.min_rate = 1'000'000;
  request_.options.min_rate_seconds = 1;
  HttpServer slow([&](int fd, const std::string&, int) {
    HttpServer::send(fd, head("200 OK", content_.size()));
    for (int i = 0; i < 600 && ::send(fd, "x", 1, MSG_NOSIGNAL) == 1; ++i) ::usleep(50'000);
  });
  const auto dawdled = get(slow);
  EXPECT_EQ(dawdled.extended_code, 0x4030101CU) << dawdled.details;
  EXPECT_TRUE(dawdled.is_retryable);
  request_.options.min_rate = 0;
  std::jthread canceller([&] {
    ::usleep(200'000);
    is_cancelled_ = true;
  });
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(get(slow).result_code, -1);
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(5));
}

TEST_F(Download, an_address_that_may_not_or_cannot_be_reached_is_told_apart) {
  request_.options.allow_http = false;
  EXPECT_EQ(get("http://127.0.0.1:1/x").extended_code, erc::download_bad_url);
  request_.options.allow_http = true;
  const auto closed = get("http://127.0.0.1:1/x");
  EXPECT_EQ(closed.extended_code, 0x40301007U) << closed.details;
  EXPECT_TRUE(closed.is_retryable);
  EXPECT_EQ(closed.http_status, 0);
}

// faults: 56
TEST_F(Download, a_full_disk_has_its_own_code) {
  request_.target = "/dev/full";
  EXPECT_NE(get("http://127.0.0.1:1/x").details.find("not a regular file"), std::string::npos);
  request_.target = folder_ / "no-such-folder/file";
  EXPECT_EQ(get("http://127.0.0.1:1/x").result_code, 0);
  const rlimit before = [] {
    rlimit now{};
    ::getrlimit(RLIMIT_FSIZE, &now);
    return now;
  }();
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 100'000, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  request_.target = folder_ / "file.part";
  HttpServer server([&](int fd, const std::string& request, int) { serve(fd, request); });
  const auto full = get(server);
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(full.result_code, 0);
  EXPECT_FALSE(full.is_retryable);
  EXPECT_NE(full.details.find("write"), std::string::npos) << full.details;
}

/// `openssl s_server` with certificates of our own making.
class TlsServer {
 public:
  TlsServer(const Path& folder, const trust::CertificatePair& server) {
    GODWIT_CHECK(write_file_durably(folder / "server.pem", server.certificate_pem).has_value());
    GODWIT_CHECK(write_file_durably(folder / "server-key.pem", server.key_pem.reveal()).has_value());
    for (port_ = 21'000 + ::getpid() % 20'000; pid_ < 0; ++port_) {
      pid_ = ::fork();
      if (pid_ == 0) {
        if (::chdir(folder.c_str()) != 0) ::_exit(1);
        ::execlp("openssl", "openssl", "s_server", "-quiet", "-accept", std::to_string(port_).c_str(), "-cert",
                 "server.pem", "-key", "server-key.pem", "-WWW", nullptr);
        ::_exit(127);
      }
      ::usleep(300'000);
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_)
        pid_ = -1;  // the port was taken
      else
        break;
    }
  }
  ~TlsServer() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;
  [[nodiscard]] std::string url(const std::string& host) const {
    return "https://" + host + ":" + std::to_string(port_) + "/file";
  }

 private:
  pid_t pid_ = -1;
  int port_ = 0;
};

// faults: 31
TEST_F(Download, tls_needs_the_right_authority_and_the_right_name) {
  const auto ca = trust::make_ca("Test CA", 2).value();
  const auto stranger = trust::make_ca("Other CA", 2).value();
  ASSERT_TRUE(write_file_durably(folder_ / "ca.pem", ca.certificate_pem));
  ASSERT_TRUE(write_file_durably(folder_ / "other.pem", stranger.certificate_pem));
  ASSERT_TRUE(write_file_durably(folder_ / "file", content_));
  const TlsServer server(folder_.path(), trust::issue_server_certificate(ca, {"localhost"}, 2).value());
  request_.options.allow_http = false;
  request_.options.ca_file = (folder_ / "ca.pem").string();
  const auto good = get(server.url("localhost"));
  EXPECT_EQ(good.result_code, 500) << good.details;
  EXPECT_TRUE(file() == content_);
  std::filesystem::remove(request_.target);
  const auto wrong_name = get(server.url("127.0.0.1"));
  EXPECT_EQ(wrong_name.extended_code, 0x4030103CU) << wrong_name.details;
  EXPECT_FALSE(wrong_name.is_retryable);
  request_.options.ca_file = (folder_ / "other.pem").string();
  EXPECT_EQ(get(server.url("localhost")).extended_code, 0x4030103CU);
  request_.options.ca_file = "";
  EXPECT_EQ(get(server.url("localhost")).extended_code, 0x4030103CU) << "the system's authorities do not know ours";
  EXPECT_EQ(file(), "");
}

TEST_F(Download, the_extension_answers_through_its_contract) {
  using namespace extension;
  HttpServer server([&](int fd, const std::string& request, int number) {
    if (number == 0)
      HttpServer::send(fd, head("503 Busy", 0, "Retry-After: 5\r\n"));
    else
      serve(fd, request);
  });
  const Registration registration = extension::testing::registration_of(
      extension::testing::library_folder() / "godwit-downloader-curl.so", Type::content_downloader, "godwit/curl:1");
  const json::Object call{{"verb", "download"},
                          {"url", server.url()},
                          {"target", request_.target.string()},
                          {"expected_size", content_.size()},
                          {"resume_offset", 0},
                          {"options", json::Object{{"allowHttp", true}}}};
  std::uint64_t last = 0;
  const Callbacks callbacks{.on_progress = [&](std::uint64_t done, std::uint64_t) { last = done; }};
  const auto busy = run_extension(registration, call, Limits{}, {}, callbacks);
  ASSERT_TRUE(busy) << busy.error().message;
  EXPECT_EQ(busy->result_code, 0);
  EXPECT_TRUE(busy->answer.at("retryable").as_bool());
  EXPECT_EQ(busy->answer.at("retryAfterSeconds").as_int64(), 5);
  EXPECT_EQ(busy->answer.at("httpStatus").as_int64(), 503);
  const auto good = run_extension(registration, call, Limits{}, {}, callbacks);
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->result_code, 500) << good->details;
  EXPECT_EQ(good->answer.at("fileSize").as_int64(), 1'234'567);
  EXPECT_TRUE(file() == content_);
  EXPECT_EQ(last, content_.size());
}

}  // namespace
}  // namespace godwit::downloader_curl
