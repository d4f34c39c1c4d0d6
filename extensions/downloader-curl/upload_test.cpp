#include "upload.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/model/outcome.hpp"
#include "device/extension/process.hpp"
#include "device/extension/testing/test_extensions.hpp"
#include "test_server.hpp"

namespace godwit::downloader_curl {
namespace {

/// The rest of a body whose beginning came with the head.
std::string body_of(int fd, const std::string& head, std::size_t size) {
  std::string body = head.substr(head.find("\r\n\r\n") + 4);
  std::array<char, 16384> chunk;
  while (body.size() < size) {
    const ssize_t got = ::recv(fd, chunk.data(), chunk.size(), 0);
    if (got <= 0) break;
    body.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return body;
}

class Upload : public ::testing::Test {
 protected:
  Upload() { EXPECT_TRUE(write_file_durably(request.source, text)); }
  DownloadAnswer put(const HttpServer& server) {
    request.url = server.url("/c/a.log?sig=secret");
    return upload(request, {.on_progress = {}, .is_cancelled = [this] { return is_cancelled; }});
  }
  extension::testing::TemporaryFolder folder;
  std::string text = std::string(300'000, 'x') + "end";
  UploadRequest request{.url = "",
                        .source = folder / "a.log",
                        .headers = {{"x-ms-blob-type", "BlockBlob"}},
                        .options = {.allow_http = true}};
  bool is_cancelled = false;
};

TEST_F(Upload, a_file_is_put_whole_with_its_headers) {
  std::string got;
  HttpServer server([&](int fd, const std::string& head, int) {
    got = body_of(fd, head, text.size());
    HttpServer::send(fd, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  const auto answer = put(server);
  EXPECT_EQ(answer.result_code, 500) << answer.details;
  EXPECT_EQ(answer.http_status, 201);
  EXPECT_TRUE(got == text);
  const std::string head = server.requests().at(0);
  EXPECT_TRUE(head.starts_with("PUT /c/a.log?sig=secret HTTP/1.1\r\n")) << head;
  EXPECT_NE(head.find("\r\nx-ms-blob-type: BlockBlob\r\n"), std::string::npos);
  EXPECT_NE(head.find("\r\nContent-Length: 300003\r\n"), std::string::npos);
}

TEST_F(Upload, a_refusal_is_told_with_its_words_and_whether_another_try_helps) {
  std::string status = "403 Forbidden";
  HttpServer server([&](int fd, const std::string& head, int) {
    body_of(fd, head, text.size());
    HttpServer::send(fd, "HTTP/1.1 " + status + "\r\nContent-Length: 12\r\nConnection: close\r\n\r\nsay\nthe word");
  });
  auto answer = put(server);
  EXPECT_EQ(answer.result_code, 0);
  EXPECT_EQ(answer.http_status, 403);
  EXPECT_FALSE(answer.is_retryable);
  EXPECT_EQ(answer.details, "the server answers with status 403: say the word");
  status = "503 Busy";
  answer = put(server);
  EXPECT_TRUE(answer.is_retryable);
}

TEST_F(Upload, a_credential_follows_no_redirect_and_goes_over_no_plain_line_unless_that_is_allowed) {
  HttpServer other([](int, const std::string&, int) {});
  HttpServer server([&](int fd, const std::string& head, int) {
    body_of(fd, head, text.size());
    HttpServer::send(
        fd, "HTTP/1.1 307 Away\r\nLocation: " + other.url() + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  EXPECT_EQ(put(server).result_code, 0);
  EXPECT_TRUE(other.requests().empty());
  request.options.allow_http = false;
  const auto answer = put(server);
  EXPECT_EQ(answer.extended_code, erc::download_bad_url);
  EXPECT_EQ(answer.details.find("secret"), std::string::npos) << answer.details;
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(Upload, a_link_a_missing_file_and_a_header_that_breaks_its_line_are_refused) {
  HttpServer server([](int, const std::string&, int) {});
  std::filesystem::create_symlink(folder / "a.log", folder / "link");
  request.source = folder / "link";
  EXPECT_EQ(put(server).result_code, 0);
  request.source = folder / "gone";
  EXPECT_EQ(put(server).result_code, 0);
  request.source = folder / "a.log";
  request.headers["x"] = "a\r\nEvil: 1";
  EXPECT_EQ(put(server).result_code, 0);
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(Upload, a_cancelled_upload_ends) {
  HttpServer server([](int, const std::string&, int) { ::usleep(200'000); });
  is_cancelled = true;
  EXPECT_EQ(put(server).result_code, result::cancelled);
}

TEST_F(Upload, the_extension_speaks_it_through_its_contract) {
  HttpServer server([&](int fd, const std::string& head, int) {
    body_of(fd, head, text.size());
    HttpServer::send(fd, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  const auto registration =
      extension::testing::registration_of(extension::testing::library_folder() / "godwit-downloader-curl.so",
                                          extension::Type::content_downloader, "godwit/curl:1");
  json::Object call;
  call["verb"] = "upload";
  call["url"] = server.url();
  call["source"] = (folder / "a.log").string();
  call["headers"] = json::Object{{"x-ms-blob-type", "BlockBlob"}};
  call["options"] = json::Object{{"allowHttp", true}};
  const auto outcome = extension::run_extension(registration, call, {}, {}, {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->result_code, 500) << outcome->details;
  EXPECT_EQ(json::integer_or_nothing(outcome->answer, "httpStatus"), 201);
  EXPECT_NE(server.requests().at(0).find("x-ms-blob-type: BlockBlob"), std::string::npos);
}

}  // namespace
}  // namespace godwit::downloader_curl
