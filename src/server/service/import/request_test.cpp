#include "server/service/import/request.hpp"

#include <gtest/gtest.h>

namespace godwit::service {
namespace {

const std::string kDigest = base64_encode(sha256("x"));

std::string url_item(const std::string& url = "https://h/m", const std::string& more = "") {
  return R"([{"importManifest":{"url":")" + url + R"(","sizeInBytes":10,"hashes":{"sha256":")" + kDigest + "\"}}" +
         more + "}]";
}

std::string problem(const std::string& body) {
  const auto parsed = parse_import_request(body);
  return parsed ? "fine" : parsed.error().message;
}

}  // namespace

TEST(ImportRequest, reads_both_kinds_of_item_and_its_own_print) {
  const auto items =
      parse_import_request(
          R"([{"importManifest":{"url":"https://h/m?sig=1","sizeInBytes":10,"hashes":{"sha256":")" + kDigest +
          R"("}},"friendlyName":"Spring","files":[{"filename":"a.bin","url":"http://h/a"}]},{"importManifest":"{}","friendlyName":null}])")
          .value();
  ASSERT_EQ(items.size(), 2U);
  const auto& remote = std::get<UrlItem>(items[0]);
  EXPECT_EQ(remote.url, "https://h/m?sig=1");
  EXPECT_EQ(remote.size, 10U);
  EXPECT_EQ(remote.sha256, sha256("x"));
  EXPECT_EQ(remote.friendly_name, "Spring");
  EXPECT_EQ(remote.files.at("a.bin"), "http://h/a");
  EXPECT_EQ(std::get<DirectItem>(items[1]).manifest, "{}");
  EXPECT_EQ(parse_import_request(print_import_request(items)).value(), items);
}

TEST(ImportRequest, names_what_is_wrong) {
  EXPECT_EQ(problem("{}"), "the body must be an array of updates to import");
  EXPECT_EQ(problem("[]"), "the body has 0 updates, allowed are 1 to 11");
  EXPECT_EQ(problem("[1]"), "[0] is not an object");
  EXPECT_EQ(problem("[{}]"), "[0].importManifest is missing");
  EXPECT_EQ(problem(url_item("ftp://h/m")), "[0].importManifest.url must begin with https:// or http://");
  EXPECT_EQ(problem(url_item("file:///etc/passwd")), "[0].importManifest.url must begin with https:// or http://");
  EXPECT_EQ(problem(url_item("https://h/m", R"(,"files":[{"filename":"../a","url":"https://h/a"}])")),
            "[0].files[0].filename is not a plain file name");
  EXPECT_EQ(
      problem(url_item("https://h/m",
                       R"(,"files":[{"filename":"a","url":"https://h/a"},{"filename":"a","url":"https://h/b"}])")),
      "[0].files[1].filename is there twice");
  EXPECT_EQ(problem(url_item("https://h/m", R"(,"friendlyName":"")")),
            "[0].friendlyName must be a text of 1 to 512 characters");
  EXPECT_EQ(problem(R"([{"importManifest":{"url":"https://h/m","sizeInBytes":0}}])"),
            "[0].importManifest.sizeInBytes must be a number of at least 1");
  EXPECT_EQ(problem(R"([{"importManifest":{"url":"https://h/m","sizeInBytes":9999999}}])"),
            "[0].importManifest.sizeInBytes is 9999999, allowed are 262144");
  EXPECT_EQ(problem(R"([{"importManifest":{"url":"https://h/m","sizeInBytes":1,"hashes":{"sha256":"eHg="}}}])"),
            "[0].importManifest.hashes.sha256 is not the base64 of 32 bytes");
  std::string many = "[\"x\"";
  for (int i = 0; i < 11; ++i) many += ",\"x\"";
  EXPECT_EQ(problem(many + "]"), "the body has 12 updates, allowed are 1 to 11");
}

}  // namespace godwit::service
