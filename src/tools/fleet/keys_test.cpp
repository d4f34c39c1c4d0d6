#include "tools/fleet/keys.hpp"

#include <gtest/gtest.h>

namespace godwit::fleet {
namespace {

constexpr std::string_view kFile =
    "# made by hand\n"
    "one MTIzNDU2Nzg5MDEyMzQ1Ng==\n"
    "\n"
    "two MTIzNDU2Nzg5MDEyMzQ1Nw==\r\n"
    "three MTIzNDU2Nzg5MDEyMzQ1OA==";

TEST(Keys, each_line_is_a_device) {
  const auto all = parse_keys(kFile, "keys", 0, 0);
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->size(), 3U);
  EXPECT_EQ((*all)[0].id.str(), "one");
  EXPECT_EQ((*all)[1].key.reveal(), "1234567890123457") << "a carriage return is no part of the key";
  EXPECT_EQ((*all)[2].id.str(), "three");
}

TEST(Keys, several_processes_share_a_file) {
  const auto second = parse_keys(kFile, "keys", 1, 1);
  ASSERT_TRUE(second);
  ASSERT_EQ(second->size(), 1U);
  EXPECT_EQ((*second)[0].id.str(), "two");
  const auto too_many = parse_keys(kFile, "keys", 1, 3);
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().message, "keys has 2 devices after the first 1; 3 are wanted");
}

TEST(Keys, a_bad_line_is_named) {
  for (const char* bad : {"# x\none", "# x\none not-base64!", "# x\none MTIz", "# x\no/ne MTIzNDU2Nzg5MDEyMzQ1Ng=="}) {
    const auto read = parse_keys(bad, "keys", 0, 0);
    ASSERT_FALSE(read) << bad;
    EXPECT_TRUE(read.error().message.starts_with("keys line 2: ")) << read.error().message;
  }
  EXPECT_FALSE(parse_keys("", "keys", 0, 0)) << "a fleet of none is a mistake";
}

TEST(Keys, a_group_key_gives_the_published_device_key) {
  // The example of the provisioning service's documentation.
  const auto derived =
      derive_keys("8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==",
                  "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f", 6, 1);
  ASSERT_TRUE(derived) << derived.error().message;
  EXPECT_EQ((*derived)[0].id.str(), "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
  EXPECT_EQ(base64_encode((*derived)[0].key.reveal()), "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
  EXPECT_FALSE(derive_keys("short", "d", 0, 1));
}

}  // namespace
}  // namespace godwit::fleet
