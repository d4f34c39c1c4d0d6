#include "local_options.hpp"

#include <gtest/gtest.h>

namespace godwit::downloader_local {
namespace {

TEST(LocalOptions, names_folders_and_owners) {
  const auto options = parse_local_options(R"({"folders":"/media/updates:/srv/store","owners":"1000:root"})");
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->folders, (std::vector<Path>{"/media/updates", "/srv/store"}));
  EXPECT_EQ(options->owners, (std::vector<uid_t>{1000, 0}));
}

TEST(LocalOptions, what_is_not_said_or_not_good_is_refused_with_the_remedy) {
  EXPECT_NE(parse_local_options("{}").error().message.find("--option folders="), std::string::npos);
  for (const char* folders : {"media", "/", "/media/", "/media//x", "/media/../etc", "/a::/b"})
    EXPECT_FALSE(parse_local_options(R"({"folders":")" + std::string(folders) + "\"}")) << folders;
  EXPECT_NE(
      parse_local_options(R"({"folders":"/a","owners":"nobody-of-that-name"})").error().message.find("no such user"),
      std::string::npos);
  std::string many = "/a";
  for (int i = 0; i < 16; ++i) many += ":/a";
  EXPECT_FALSE(parse_local_options(R"({"folders":")" + many + "\"}"));
}

TEST(LocalUrl, gives_the_path_in_all_its_spellings) {
  for (const char* url : {"file:///media/a%20b.bin", "file:/media/a%20b.bin", "FILE://localhost/media/a b.bin"}) {
    const auto path = path_of_url(url);
    ASSERT_TRUE(path) << url << ": " << path.error().message;
    EXPECT_EQ(*path, "/media/a b.bin");
  }
}

TEST(LocalUrl, refuses_what_is_not_one_plain_file_of_this_device) {
  for (const char* url : {"https://x/a", "file://server/share/a", "file:a", "file://", "file:///", "file:///a/../b",
                          "file:///a/%2e%2e/b", "file:///a//b", "file:///a/", "file:///a%00b", "file:///a%0Ab",
                          "file:///a%4", "file:///a%zz", "file:///a?b", "file:///a#b"})
    EXPECT_FALSE(path_of_url(url)) << url;
  EXPECT_FALSE(path_of_url("file:///" + std::string(5000, 'a')));
  std::string deep = "file://";
  for (int i = 0; i < 65; ++i) deep += "/a";
  EXPECT_FALSE(path_of_url(deep));
}

TEST(LocalPlace, must_be_below_a_folder_that_may_be_read) {
  const auto place = find_place("/media/updates/a/b.bin", {"/srv", "/media/updates"});
  ASSERT_TRUE(place);
  EXPECT_EQ(place->folder, "/media/updates");
  EXPECT_EQ(place->parts, (std::vector<std::string>{"a", "b.bin"}));
  EXPECT_FALSE(find_place("/media/updates-of-others/b.bin", {"/media/updates"}));
  EXPECT_NE(find_place("/etc/shadow", {"/srv", "/media/updates"}).error().message.find("/srv, /media/updates"),
            std::string::npos);
}

}  // namespace
}  // namespace godwit::downloader_local
