#include "device/agent/transport.hpp"

#include <gtest/gtest.h>

namespace godwit::agent {
namespace {

TEST(WayChoice, a_new_device_tries_both_at_once_and_keeps_what_worked) {
  WayChoice choice(std::nullopt, std::nullopt);
  EXPECT_EQ(choice.first(), Way::mqtt);
  EXPECT_EQ(choice.second(), Way::websocket);
  EXPECT_TRUE(choice.worked(Way::websocket));
  EXPECT_FALSE(choice.worked(Way::websocket)) << "no news";
  EXPECT_EQ(choice.first(), Way::websocket);
  EXPECT_EQ(choice.second(), std::nullopt);
}

// faults: 32
TEST(WayChoice, a_restart_of_the_hub_does_not_move_its_fleet_to_the_other_port) {
  WayChoice choice(std::nullopt, Way::mqtt);
  for (std::uint32_t i = 0; i < WayChoice::kFailuresToDoubt; ++i) {
    EXPECT_EQ(choice.second(), std::nullopt) << i;
    choice.failed();
  }
  EXPECT_EQ(choice.first(), Way::mqtt);
  EXPECT_EQ(choice.second(), Way::websocket) << "after several failures the port may have been blocked";
  EXPECT_FALSE(choice.worked(Way::mqtt));
  EXPECT_EQ(choice.second(), std::nullopt) << "and one success is enough";
}

TEST(WayChoice, a_fixed_way_is_the_only_one) {
  for (const Way way : {Way::mqtt, Way::websocket}) {
    WayChoice choice(way, other_than(way));
    for (int i = 0; i < 10; ++i) choice.failed();
    EXPECT_EQ(choice.first(), way);
    EXPECT_EQ(choice.second(), std::nullopt);
    EXPECT_FALSE(choice.worked(way)) << "nothing to remember";
  }
}

}  // namespace
}  // namespace godwit::agent
