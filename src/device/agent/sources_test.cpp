#include "device/agent/sources.hpp"

#include <gtest/gtest.h>

#include "core/base/bytes.hpp"

namespace godwit::agent {
namespace {

const std::string kHash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
PlannedFile file() { return {.id = "f1", .name = "app 1+.bin", .size = 5, .sha256 = sha256("hello")}; }
constexpr std::string_view kService = "https://updates.example:8443/files/a/b?sig=x";

TEST(Sources, are_filled_in_for_each_file) {
  EXPECT_EQ(fill_source("file:///media/updates/{sha256}", file(), kService), "file:///media/updates/" + kHash);
  EXPECT_EQ(fill_source("file:///media/{name}", file(), kService), "file:///media/app%201%2B.bin");
  EXPECT_EQ(fill_source("https://cache/{path}&origin={host}", file(), kService),
            "https://cache/files/a/b?sig=x&origin=updates.example:8443");
}

TEST(Sources, are_left_out_where_the_service_gave_no_url_to_fill_them_with) {
  EXPECT_EQ(fill_source("https://cache/{path}", file(), ""), "");
  EXPECT_EQ(fill_source("https://cache/{sha256}", file(), ""), "https://cache/" + kHash);
}

TEST(Sources, that_cannot_work_are_refused_with_the_remedy) {
  for (const char* good : {"file:///m/{name}", "HTTPS://cache/{sha256}", "https://cache/{path}?o={host}"})
    EXPECT_EQ(check_source(good, false), "") << good;
  EXPECT_EQ(check_source("http://cache/{sha256}", true), "");
  for (const auto& [bad, part] : {std::pair{"http://cache/{sha256}", "allow_http"},
                                  {"ftp://cache/{sha256}", "not a file:"},
                                  {"/media/{sha256}", "not a file:"},
                                  {"https://cache/", "which file"},
                                  {"https://cache/{host}", "which file"},
                                  {"https://cache/{hash}", "{hash}"},
                                  {"https://cache/{sha256", "fellow"},
                                  {"https://cache/sha256}", "fellow"},
                                  {"file:///my media/{name}", "%20"}})
    EXPECT_NE(check_source(bad, false).find(part), std::string::npos) << bad << ": " << check_source(bad, false);
  EXPECT_NE(check_source("https://x/{sha256}" + std::string(2048, 'a'), false), "");
}

TEST(Sources, show_no_credential_in_a_log) {
  EXPECT_EQ(url_for_log("https://user:secret@cache:1/a/b?sig=secret#x"), "https://cache:1/a/b");
  EXPECT_EQ(url_for_log("file:///media/a"), "file:///media/a");
  EXPECT_EQ(url_for_log("https://cache/a@b"), "https://cache/a@b");
}

}  // namespace
}  // namespace godwit::agent
