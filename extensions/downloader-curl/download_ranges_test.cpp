// Goal:   pieces of a file come in order into one file, and an answer that is not the piece never reaches the disk.
// Method: a small server that speaks exactly the bytes each test wants.
#include "download_ranges.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "core/model/outcome.hpp"
#include "device/extension/testing/test_extensions.hpp"
#include "test_server.hpp"

namespace godwit::downloader_curl {
namespace {

class DownloadRanges : public ::testing::Test {
 protected:
  DownloadAnswer get(HttpServer& server) {
    request_.url = server.url();
    return download_ranges(request_, {});
  }
  std::string file() const { return read_file(request_.target, 10'000'000).value_or("<none>"); }
  /// A right answer to a request for "bytes=FROM-TO", `keep` bytes of it, with another total or start if asked.
  std::string answer(const std::string& head, std::size_t keep = std::string::npos, std::size_t total = 100'000,
                     std::size_t shift = 0) const {
    const auto at = head.find("Range: bytes=") + 13;
    const std::size_t from = std::stoul(head.substr(at)) + shift;
    const std::size_t to = std::stoul(head.substr(head.find('-', at) + 1)) + shift;
    return "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: " + std::to_string(to - from + 1) +
           "\r\nContent-Range: bytes " + std::to_string(from) + "-" + std::to_string(to) + "/" + std::to_string(total) +
           "\r\n\r\n" + content_.substr(from, std::min(keep, to - from + 1));
  }

  extension::testing::TemporaryFolder folder_;
  std::string content_ = content(100'000);
  RangesRequest request_{.target = folder_ / "pieces",
                         .pieces = {{.offset = 10, .length = 500}, {.offset = 70'000, .length = 30'000}},
                         .file_size = 100'000,
                         .options = {.allow_http = true}};
  std::string wanted_ = content_.substr(10, 500) + content_.substr(70'000);
};

TEST_F(DownloadRanges, each_piece_is_asked_for_and_they_lie_one_after_the_other) {
  HttpServer server([this](int fd, const std::string& head, int) { HttpServer::send(fd, answer(head)); });
  const auto got = get(server);
  EXPECT_EQ(got.result_code, result::download_ok) << got.details;
  EXPECT_EQ(got.bytes_received, 30'500U);
  EXPECT_TRUE(file() == wanted_);
  ASSERT_EQ(server.requests().size(), 2U);
  EXPECT_NE(server.requests()[0].find("Range: bytes=10-509\r\n"), std::string::npos);
  EXPECT_NE(server.requests()[1].find("Range: bytes=70000-99999\r\n"), std::string::npos);
}

// faults: 23
TEST_F(DownloadRanges, a_cut_is_worth_another_try_and_goes_on_inside_the_piece) {
  HttpServer server([this](int fd, const std::string& head, int number) {
    HttpServer::send(fd, answer(head, number == 1 ? 1000 : std::string::npos));
  });
  const auto cut = get(server);
  EXPECT_EQ(cut.result_code, 0);
  EXPECT_TRUE(cut.is_retryable) << cut.details;
  EXPECT_EQ(cut.file_size, 1500U);
  request_.resume_offset = cut.file_size;
  const auto whole = get(server);
  EXPECT_EQ(whole.result_code, result::download_ok) << whole.details;
  EXPECT_TRUE(whole.was_resumed);
  EXPECT_TRUE(file() == wanted_);
  ASSERT_EQ(server.requests().size(), 3U);
  EXPECT_NE(server.requests()[2].find("Range: bytes=71000-99999\r\n"), std::string::npos) << server.requests()[2];
}

TEST_F(DownloadRanges, what_is_not_the_piece_is_refused_before_its_first_byte) {
  struct Case {
    std::string_view what;
    std::function<std::string(const std::string& head)> answer;
    std::string_view words;
  };
  const std::string ok = "HTTP/1.1 206 Partial Content\r\nConnection: close\r\n";
  for (const auto& [what, reply, words] : std::vector<Case>{
           {"the whole file",
            [this](const std::string&) {
              return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n" + content_;
            },
            "status 200"},
           {"another file", [this](const std::string& head) { return answer(head, 500, 99'999); }, "not asked for"},
           {"another piece", [this](const std::string& head) { return answer(head, 500, 100'000, 1); },
            "not asked for"},
           {"no Content-Range", [&ok](const std::string&) { return ok + "Content-Length: 3\r\n\r\nabc"; },
            "not asked for"},
           {"an encoded piece",
            [&ok](const std::string&) {
              return ok +
                     "Content-Encoding: gzip\r\nContent-Range: bytes 10-509/100000\r\nContent-Length: 3\r\n\r\nabc";
            },
            "encoded"}}) {
    HttpServer server([&reply = reply](int fd, const std::string& head, int) { HttpServer::send(fd, reply(head)); });
    const auto got = get(server);
    EXPECT_EQ(got.result_code, 0) << what;
    EXPECT_FALSE(got.is_retryable) << what;
    EXPECT_NE(got.details.find(words), std::string::npos) << what << ": " << got.details;
    EXPECT_EQ(file(), "") << what;
  }
}

// faults: 27
TEST_F(DownloadRanges, a_busy_server_is_asked_later_and_a_missing_file_never) {
  for (const auto& [status, retryable] : {std::pair{"503 Busy", true}, std::pair{"404 Not Found", false},
                                          std::pair{"416 Range Not Satisfiable", false}}) {
    HttpServer server([text = std::string(status)](int fd, const std::string&, int) {
      HttpServer::send(fd,
                       "HTTP/1.1 " + text + "\r\nConnection: close\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno");
    });
    const auto got = get(server);
    EXPECT_EQ(got.result_code, 0) << status;
    EXPECT_EQ(got.is_retryable, retryable) << status;
    EXPECT_EQ(got.retry_after_seconds, 7) << status;
  }
}

TEST_F(DownloadRanges, pieces_that_do_not_rise_inside_the_file_are_not_asked_for) {
  HttpServer server([this](int fd, const std::string& head, int) { HttpServer::send(fd, answer(head)); });
  for (const auto& pieces : std::vector<std::vector<Piece>>{{},
                                                            {{.offset = 0, .length = 0}},
                                                            {{.offset = 99'999, .length = 2}},
                                                            {{.offset = 100'001, .length = 1}},
                                                            {{.offset = 10, .length = 10}, {.offset = 19, .length = 1}},
                                                            {{.offset = 1, .length = UINT64_MAX}}}) {
    request_.pieces = pieces;
    EXPECT_EQ(get(server).result_code, 0);
  }
  EXPECT_TRUE(server.requests().empty());
}

}  // namespace
}  // namespace godwit::downloader_curl
