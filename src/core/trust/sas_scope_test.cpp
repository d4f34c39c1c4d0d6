#include "core/trust/sas_scope.hpp"

#include <gtest/gtest.h>

namespace godwit::trust {
namespace {

using Path = std::vector<std::string>;

bool scope_covers(std::string_view scope, const Path& path) { return covers(split_scope(scope), path); }

TEST(SasScope, is_a_hub_and_a_path) {
  EXPECT_EQ(split_scope("hub.example").hub, "hub.example");
  EXPECT_EQ(split_scope("hub.example").path, Path{});
  EXPECT_EQ(split_scope("hub.example/devices/dev1").path, (Path{"devices", "dev1"}));
  EXPECT_EQ(split_scope("hub.example/devices/").path, Path{"devices"});
  EXPECT_EQ(split_scope("").hub, "");
}

TEST(SasScope, covers_what_it_names_and_what_lies_below) {
  EXPECT_TRUE(scope_covers("hub", {"twins", "dev1"}));
  EXPECT_TRUE(scope_covers("hub", {}));
  EXPECT_TRUE(scope_covers("hub/devices", {"devices", "dev1"}));
  EXPECT_TRUE(scope_covers("hub/devices/dev1", {"devices", "dev1"}));
  EXPECT_TRUE(scope_covers("hub/devices/dev1", {"devices", "dev1", "modules", "m"}));
}

TEST(SasScope, its_border_is_a_segment) {
  EXPECT_FALSE(scope_covers("hub/devices/dev1", {"devices", "dev10"}));
  EXPECT_FALSE(scope_covers("hub/devices/dev1", {"devices"}));
  EXPECT_FALSE(scope_covers("hub/devices", {"devicesother"}));
  EXPECT_FALSE(scope_covers("hub/devices", {"twins", "dev1"}));
}

TEST(SasScope, ids_keep_their_case_and_may_be_encoded_once_more) {
  EXPECT_FALSE(scope_covers("hub/devices/DEV1", {"devices", "dev1"}));
  EXPECT_TRUE(scope_covers("hub/devices/a%23b", {"devices", "a#b"}));
  EXPECT_FALSE(scope_covers("hub/devices/a%2", {"devices", "a"}));
}

TEST(SasScope, an_empty_segment_covers_nothing) {
  EXPECT_FALSE(scope_covers("hub//devices", {"", "devices"}));
  EXPECT_FALSE(scope_covers("hub//devices", {"devices", "dev1"}));
  EXPECT_FALSE(scope_covers("hub/devices//", {"devices", ""}));
}

}  // namespace
}  // namespace godwit::trust
