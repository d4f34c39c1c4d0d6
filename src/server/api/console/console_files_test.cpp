#include "server/api/console/console_files.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

class Console : public ::testing::Test {
 protected:
  void SetUp() override {
    put("index.html", "<!doctype html><title>start</title>");
    put("assets/app-1a2b.js", "console.log(1)");
    put("assets/app-1a2b.js.gz", "pretend-zipped");
  }
  void put(const std::string& name, const std::string& text) {
    const auto path = folder.path() / name;
    std::filesystem::create_directories(path.parent_path());
    GODWIT_CHECK(write_file_durably(path, text).has_value());
  }
  net::TestFolder folder;
};

TEST_F(Console, a_place_inside_the_console_gets_the_start_page_and_a_missing_asset_does_not) {
  const auto files = ConsoleFiles::load(folder.path());
  ASSERT_TRUE(files) << files.error().message;
  TestRig rig(make_router());
  rig.services->console = &*files;
  TestClient client(rig);
  for (const char* place : {"/console", "/console/devices/a.b", "/console/deployments/g/d", "/console/index.html"}) {
    const Answer page = client.send(request_text("GET", place));
    EXPECT_EQ(page.status, 200) << place;
    EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8") << place;
    EXPECT_EQ(page.headers.at("cache-control"), "no-cache") << place;
    const std::string policy = page.headers.at("content-security-policy");
    EXPECT_NE(policy.find("default-src 'none'; script-src 'self'"), std::string::npos) << policy;
    EXPECT_EQ(policy.find("unsafe"), std::string::npos) << policy;
  }
  EXPECT_EQ(client.send(request_text("GET", "/console/assets/other.js")).status, 404);
  EXPECT_EQ(client.send(request_text("GET", "/console/assets/..%2f..%2fsecret")).status, 404);
}

TEST_F(Console, an_asset_is_kept_for_ever_and_sent_zipped_to_who_takes_that) {
  const auto files = ConsoleFiles::load(folder.path());
  ASSERT_TRUE(files);
  Request request;
  auto plain = files->answer("assets/app-1a2b.js", request);
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->body, "console.log(1)");
  request.headers["accept-encoding"] = "br, gzip;q=0.5";
  auto zipped = files->answer("assets/app-1a2b.js", request);
  ASSERT_TRUE(zipped);
  EXPECT_EQ(zipped->body, "pretend-zipped");
  const auto header = [](const Reply& reply, std::string_view name) {
    for (const auto& [key, value] : reply.headers)
      if (key == name) return value;
    return std::string();
  };
  EXPECT_EQ(header(*zipped, "Content-Encoding"), "gzip");
  EXPECT_EQ(header(*zipped, "Cache-Control"), "public, max-age=31536000, immutable");
  EXPECT_NE(header(*zipped, "ETag"), header(*plain, "ETag"));
  request.headers["if-none-match"] = header(*zipped, "ETag");
  EXPECT_EQ(files->answer("assets/app-1a2b.js", request)->status, 304);
}

TEST_F(Console, gzip_is_taken_when_the_header_says_so) {
  for (const char* yes : {"gzip", "deflate, GZIP", "gzip;q=0.1", "br;q=0, gzip; q=1"})
    EXPECT_TRUE(takes_gzip(yes)) << yes;
  for (const char* no : {"", "br", "gzip;q=0", "gzip; q=0.0", "xgzip"}) EXPECT_FALSE(takes_gzip(no)) << no;
}

TEST_F(Console, a_folder_without_a_start_page_or_with_a_strange_file_is_refused) {
  EXPECT_EQ(ConsoleFiles::load(folder.path() / "assets").error().code, Code::not_found);
  put("run.exe", "x");
  const auto files = ConsoleFiles::load(folder.path());
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().code, Code::unsupported);
  EXPECT_NE(files.error().message.find("run.exe"), std::string::npos);
}

TEST_F(Console, without_files_the_answer_says_what_is_missing) {
  TestRig rig(make_router());
  TestClient client(rig);
  const Answer answer = client.send(request_text("GET", "/console"));
  EXPECT_EQ(answer.status, 404);
  EXPECT_NE(answer.body.find("console.folder"), std::string::npos) << answer.body;
}

}  // namespace
}  // namespace godwit::api
