#include "tools/fleet/addresses.hpp"

#include <gtest/gtest.h>

#include <map>

namespace godwit::fleet {
namespace {

Ip4 ip(std::string_view text) { return parse_ip4(text).value(); }

TEST(Addresses, text_and_number_are_the_same_address) {
  EXPECT_EQ(ip("127.10.0.1"), 0x7F0A0001U);
  EXPECT_EQ(print_ip4(ip("127.255.3.20")), "127.255.3.20");
  for (const char* bad : {"", "127.0.0", "127.0.0.256", "localhost", "::1", "127.0.0.1 "})
    EXPECT_FALSE(parse_ip4(bad)) << bad;
}

TEST(Addresses, devices_share_an_address_and_then_move_on) {
  const auto sources = SourceAddresses::make(ip("127.10.0.1"), 3, 100);
  ASSERT_TRUE(sources);
  EXPECT_EQ(print_ip4(sources->of(0)), "127.10.0.1");
  EXPECT_EQ(print_ip4(sources->of(2)), "127.10.0.1");
  EXPECT_EQ(print_ip4(sources->of(3)), "127.10.0.2");
  EXPECT_EQ(print_ip4(sources->of(99)), "127.10.0.34");
}

TEST(Addresses, none_ends_in_0_or_255) {
  const auto sources = SourceAddresses::make(ip("127.10.0.250"), 1, 2000);
  ASSERT_TRUE(sources);
  EXPECT_EQ(print_ip4(sources->of(4)), "127.10.0.254");
  EXPECT_EQ(print_ip4(sources->of(5)), "127.10.1.1");
  std::map<Ip4, int> used;
  for (std::size_t device = 0; device < 2000; ++device) {
    const Ip4 address = sources->of(device);
    ++used[address];
    EXPECT_TRUE(is_loopback(address));
    EXPECT_NE(address & 0xFFU, 0U);
    EXPECT_NE(address & 0xFFU, 255U);
  }
  EXPECT_EQ(used.size(), 2000U) << "one device each was asked for";
}

TEST(Addresses, what_does_not_fit_is_refused) {
  EXPECT_FALSE(SourceAddresses::make(ip("10.0.0.1"), 500, 10)) << "only loopback has addresses to spare";
  EXPECT_FALSE(SourceAddresses::make(ip("127.10.0.0"), 500, 10));
  EXPECT_FALSE(SourceAddresses::make(ip("127.10.0.255"), 500, 10));
  EXPECT_FALSE(SourceAddresses::make(ip("127.10.0.1"), 0, 10));
  EXPECT_TRUE(SourceAddresses::make(ip("127.255.255.254"), 500, 500));
  EXPECT_FALSE(SourceAddresses::make(ip("127.255.255.254"), 500, 501)) << "the range ends here";
}

}  // namespace
}  // namespace godwit::fleet
